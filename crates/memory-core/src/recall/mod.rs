//! From a task to what helps with it.
//!
//! - [`text`]: how text becomes index terms, for documents and queries alike
//! - [`terms`]: the words that say nothing by themselves
//! - `stem`, `forms`: English word forms, regular and not
//! - `surroundings`: what an episode owes to those around it
//! - `synonyms`: words that say the same
//! - [`document`]: what of an episode is searchable, by field
//! - [`query`]: what is asked, and what comes back
//! - [`mod@rank`]: which episodes answer a query, in which order, and why
//! - `relevance`: how much of a query an episode covers, and when that is nothing
//! - [`mod@render`]: the answer within its token budget, as JSON and as text
//! - `notes`, `asked`: what answers a question among episodes without steps
//! - `needed`: the terms of a query and what each is worth
//! - `lessons`: which lessons come with an answer, which contradict or supersede another
//! - `item`: one episode within its share of the budget
//! - [`similar`]: candidates by meaning, and how that is put beside words
//! - [`tokens`]: an upper estimate of what a text costs in a model's context window

mod asked;
pub mod document;
mod forms;
mod item;
mod lessons;
mod needed;
mod notes;
pub mod query;
pub mod rank;
mod relevance;
pub mod render;
pub mod similar;
mod stem;
mod surroundings;
mod synonyms;
pub mod terms;
pub mod text;
pub mod tokens;

pub use query::{Mode, Recall, RecallItem, RecallLesson, RecallQuery, candidates};
pub use rank::{Candidates, FeedbackCounts, Ranked, Ranking, rank};
pub use render::render;
pub use similar::{Nearest, Similar, SimilarQuery};
