//! The read cache: decoded episodes in memory, a redb file behind them.
//!
//! # Layout
//!
//! - [`index`]: what is held and what must go, by policy

pub mod index;

pub use index::Policy;
