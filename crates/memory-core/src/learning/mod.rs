//! What an episode teaches: its reward, a reflection, patterns and heuristics.
//!
//! - [`lesson`]: [`Lesson`], its evidence and statistics, confidence
//! - [`reward`]: scoring a completed episode
//! - [`reflect`]: what worked, what failed, what to do next time
//! - [`extract`]: patterns and heuristics out of one episode

pub mod extract;
pub mod lesson;
pub mod reflect;
pub mod reward;

pub use extract::extract;
pub use lesson::{Evidence, Lesson, LessonKind, LessonStats, ScoredLesson};
pub use reflect::reflect;
pub use reward::score;
