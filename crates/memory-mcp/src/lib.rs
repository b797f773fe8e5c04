//! What a user touches: the command line, the settings, the importers, the MCP server.
//!
//! # Layout
//!
//! - [`bench`](mod@bench): what `memory-mcp bench` measures
//! - [`cli`]: commands, their output, exit codes; the only place that prints
//! - [`config`]: one validated [`Config`](config::Config) out of flags, environment, file, defaults
//! - [`dashboard`]: what an operator sees in a browser, and the JSON behind it
//! - [`eval`]: measurements of recall
//! - [`http`]: MCP over HTTP: tokens, limits, connections
//! - [`hook`]: what clients tell of their sessions, recorded without being asked
//! - [`import`]: recorded runs of agents, in six formats, as episodes
//! - [`mcp`]: the MCP server on stdin and stdout
//! - [`telemetry`]: metrics, for Prometheus and OpenTelemetry
pub mod bench;
pub mod cli;
pub mod config;
pub mod dashboard;
pub mod eval;
pub mod hook;
pub mod http;
pub mod import;
pub mod mcp;
pub mod telemetry;

/// Said with everything that was read while the database could not be reached.
const MAY_BE_STALE: &str = "the database cannot be reached: this comes from what this machine has and \
    may be out of date; listings and searches lack what waits here to be delivered";
