//! Backups: a database in a file by itself, sealed with its length and checksum.
//!
//! - [`seal`](mod@seal): the file's form; writing it, checking it

mod seal;

pub use seal::Sealed;
pub(crate) use seal::write;
