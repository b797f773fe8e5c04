//! The domain of memory-mcp: what an episode is, what is learned from it, how it is recalled.
//!
//! No I/O, no environment, no clock but the one it is given: everything here can be tested with
//! values alone, and everything that stores or serves episodes depends on it.
//!
//! # Layout
//!
//! - [`episode`]: [`Episode`], [`Step`], [`Outcome`], [`Reward`], metadata, ids, limits, validation
//! - [`condition`]: [`Condition`] on metadata, `repo = "api" AND attempts > 2`
//! - [`learning`]: reward scoring, reflection, patterns and heuristics with their evidence
//! - [`recall`]: query words, ranking and fusion, the token budget, rendering for a context window
//! - [`store`]: the port [`EpisodeStore`] that every storage engine implements, batch first
//! - [`memory`]: [`Memory`], the life of an episode on top of any store
//! - [`redact`]: secrets are taken out of text before it is stored
//! - [`envelope`]: the checksummed header in front of every stored payload
//! - [`latency`]: durations of operations, as histograms
//! - [`record`]: the export format, one JSON record a line
//! - [`clock`], [`period`]: when, and stretches of time as people name them; [`error`]

pub mod clock;
pub mod condition;
pub mod envelope;
pub mod episode;
pub mod error;
pub mod latency;
pub mod learning;
pub mod memory;
pub mod period;
pub mod recall;
pub mod record;
pub mod redact;
pub mod store;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use condition::Condition;
pub use episode::{
    Complexity, Context, Episode, EpisodeId, LessonId, MetadataValue, Outcome, OutcomeKind,
    RawJson, Reflection, Reward, RewardSource, Source, Step, WriteId,
};
pub use error::{Error, Result};
pub use memory::Memory;
pub use store::EpisodeStore;
