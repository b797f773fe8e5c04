//! The episode and everything it is made of.
//!
//! The types are in *storage shape*: times are integers, free JSON is carried as its text, enums are
//! plain tags. So one definition serves JSON, MessagePack and postcard alike.

mod id;
mod json;
pub mod limits;
mod metadata;
mod model;
mod validate;

pub use id::{EpisodeId, LessonId, WriteId};
pub use json::RawJson;
pub use metadata::MetadataValue;
pub use model::{
    Complexity, Context, Episode, Outcome, OutcomeKind, Reflection, Reward, RewardSource, Source,
    Step,
};
