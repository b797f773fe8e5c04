//! The command line, as a user and as a script see it. Each test has a directory of its own.
//!
//! - `world`: one directory, one database, the binary run in it
//! - `commands`: every command on a small memory
//! - `settings`: where values come from, and what is said about wrong ones
//! - `embeddings`: recall by meaning, with a real endpoint
//! - `consolidate`: duplicates and old episodes archived, what they taught kept
//! - `eval`: what recall brings, measured on recorded runs
//! - `hooks`: sessions recorded by hooks, from a client's JSON to the next session
//! - `hook_secrets`: none of what was planted is on disk
//! - `forgotten`: what is forgotten is found by no command
//! - `import_export`: what goes in comes out
//! - `bench`: every row of the benchmark, tiny
//! - `bad_input`: clear errors, nothing lost
//! - `eval_retrieval`: figures of retrieval
//! - `recorded_runs`: the real runs, where they are there
//! - `processes`: several real processes on one data directory
//! - `verify`: planted damage
//! - `work`: several episodes: relations, checkpoints, playbooks
//! - `remote`: a real server behind `--database`, and `copy` to it and back
//! - `credentials`: tokens and certificates, from the settings down to the server
//! - `session`: a running `serve` and its one client
//! - `older`: a database in the older layout, taken over
//! - `setup`: setting up clients, checking the setup, watching, the manual page
//! - `whole`: backups, restoring, schemas, purging
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bad_input;
mod bench;
mod commands;
mod consolidate;
mod credentials;
mod embeddings;
mod eval;
mod eval_retrieval;
mod forgotten;
mod hook_secrets;
mod hooks;
mod import_export;
mod older;
mod processes;
mod recorded_runs;
mod remote;
mod session;
mod settings;
mod setup;
mod verify;
mod whole;
mod work;
mod world;
