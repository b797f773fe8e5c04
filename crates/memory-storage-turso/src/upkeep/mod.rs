//! What is done for the payloads of a database beside reading and writing them.
//!
//! - `dictionaries`: the dictionaries of the database, as statements
//! - `training`: when a project gets one of its own, and how it is withdrawn
//! - `reencode`: payloads written anew

pub(crate) mod dictionaries;
mod reencode;
mod training;

pub use reencode::Reencoded;
pub(crate) use training::Saves;
