//! What a user touches: the command line, the settings, the importers, the MCP server.
//!
//! # Layout
//!
//! - [`cli`]: commands, their output, exit codes; the only place that prints
//! - [`config`]: one validated [`Config`](config::Config) out of flags, environment, file, defaults
//! - [`http`]: MCP over HTTP: tokens, limits, connections
//! - [`import`]: recorded runs of agents, in six formats, as episodes
//! - [`mcp`]: the MCP server on stdin and stdout
pub mod cli;
pub mod config;
pub mod http;
pub mod import;
pub mod mcp;
