//! What the tests lean on, and of it what `memory-mcp bench` is made of as well: [`generate`],
//! [`trace`] and [`proxy`]. The rest comes with the feature `full`. Unpublished; it panics freely,
//! because a test that cannot set up its world has failed.
//!
//! # Layout
//!
//! - [`conversations`]: conversations with questions about them
//! - [`embeddings`]: an HTTP server that makes embeddings, with a deterministic hashing model
//! - [`fuzz`]: inputs mutated, and kept when the target says something new
//! - [`generate`]: seeded episodes of realistic size and shape
//! - [`npm`]: installs the pinned npm packages once, or says why tests are skipped
//! - [`programs`]: programs of Debian packages, or why tests are skipped
//! - [`python`]: the same for the pinned Python packages
//! - [`shim`]: storage calls of a process that fail on command, connections that are written down
//! - [`sqld`]: a real libSQL server on loopback: start, stop, kill, restart, tokens, replicas
//! - [`rounds`]: how often a test repeats something, from which seed, and how far it got
//! - [`story`]: the conformance story, told to every store
//! - [`proxy`]: a TCP and TLS proxy that counts, delays and breaks things
//! - [`trace`]: access patterns for the cache, and the offline optimum

#![expect(clippy::expect_used, clippy::panic, reason = "a broken test set-up fails the test")]

#[cfg(feature = "full")]
pub mod conversations;
#[cfg(feature = "full")]
pub mod embeddings;
#[cfg(feature = "full")]
pub mod fuzz;
pub mod generate;
#[cfg(feature = "full")]
pub mod npm;
#[cfg(feature = "full")]
pub mod programs;
pub mod proxy;
#[cfg(feature = "full")]
pub mod python;
#[cfg(feature = "full")]
pub mod rounds;
#[cfg(feature = "full")]
pub mod shim;
#[cfg(feature = "full")]
pub mod sqld;
#[cfg(feature = "full")]
pub mod story;
pub mod trace;
