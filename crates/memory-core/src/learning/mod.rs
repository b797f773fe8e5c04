//! What an episode teaches: its reward, a reflection, patterns and heuristics.
//!
//! - [`trace`]: what the steps of a run say: failures, recoveries, the step that decided it
//! - [`signature`]: errors and actions without their particulars, so that equal ones meet
//! - [`lesson`]: [`Lesson`], its evidence and statistics, confidence
//! - [`reward`]: scoring a completed episode
//! - [`reflect`](mod@reflect): what worked, what failed, what to do next time
//! - [`task_action`]: which calls changed something in the runs of one task
//! - [`handoff`](mod@handoff): what whoever goes on with a running episode needs to know
//! - [`playbook`](mod@playbook): what runs of one kind of task share
//! - [`signals`]: what a session says about its outcome when nobody judged it
//! - [`extract`](mod@extract): patterns and heuristics out of one episode

pub mod extract;
pub mod handoff;
pub mod lesson;
pub mod playbook;
pub mod reflect;
pub mod reward;
pub mod signals;
pub mod signature;
pub mod task_action;
pub mod trace;

pub use extract::extract;
pub use handoff::handoff;
pub use lesson::{Evidence, Lesson, LessonKind, LessonStats, ScoredLesson};
pub use playbook::{Playbook, playbook};
pub use reflect::reflect;
pub use reward::score;
pub use signals::{is_nobodys_word, judged_by_signals};
