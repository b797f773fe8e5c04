//! Measurements of recall: how well it finds what is known to be right.
//!
//! - [`items`]: items and questions as JSONL
//! - [`figures`]: the measures of a ranking
//! - [`outcomes`]: the runs of one agent hidden, its tasks asked for
//! - [`paraphrase`]: tasks in other words
//! - [`plain`]: what plain full text reaches on the same data, to compare with
//! - [`plot`]: shares as bars, as SVG
//! - [`precision`]: queries that nothing is relevant to
//! - [`random`]: the same numbers on every machine
//! - [`retrieval`]: items as episodes, questions as recalls, in a temporary store

pub mod figures;
pub mod items;
pub mod outcomes;
pub mod paraphrase;
pub mod plain;
pub mod plot;
pub mod precision;
pub mod random;
pub mod retrieval;
