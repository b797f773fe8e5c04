//! The real binary speaks MCP over stdio: raw JSON-RPC lines in, raw lines out.
//!
//! - `client`: a server process and the lines that go to and fro
//! - `story`: what an agent does, from the start of an episode to its recall by a later process
//! - `protocol`: both eras, sizes, beginnings and ends of a connection
//! - `bad_input`: what is refused, how, and that the server goes on
//! - `load`: processes and clients side by side
//! - `embeddings`: recall by meaning in a server, its background and its degradation
//! - `forgetting`: what is forgotten is gone for every process
//! - `handoff`: work that one process begins and another ends
//! - `soak`: clients at work for a long time, with faults and restarts
//! - `kill`: what is acknowledged outlives the process; `lanes`: clients that know what they were told
//! - `disk`: storage calls that fail, disks that are full
//! - `fleet`: many processes on one directory, some of them killed

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its seed"
)]

mod bad_input;
mod client;
mod disk;
mod embeddings;
mod fleet;
mod forgetting;
mod handoff;
mod kill;
mod lanes;
mod load;
mod protocol;
mod soak;
mod story;
