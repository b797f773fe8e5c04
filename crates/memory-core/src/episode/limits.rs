//! Limits of one episode, each with its reason. Beyond a limit is a clear error, never a silent cut.

/// Steps of one episode. Long autonomous runs have hundreds; 10,000 keeps one row below the 5 MB
/// that a libSQL server accepts, for steps of ordinary size.
pub const MAX_STEPS: usize = 10_000;

/// Bytes of the task description: a long issue text with a stack trace fits.
pub const MAX_TASK_BYTES: usize = 64 * 1024;

/// Bytes of one step's parameters, observation or error. A larger observation is a file, not a
/// memory; importers cut it and say so in the step.
pub const MAX_FIELD_BYTES: usize = 1024 * 1024;

/// Bytes of short names: project, task type, tool, domain, language, framework, tag.
pub const MAX_NAME_BYTES: usize = 256;

/// Bytes of a step's action, of a verdict and of one line of a reflection.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Metadata keys of one episode: they are index rows, two per key.
pub const MAX_METADATA_KEYS: usize = 64;

/// Bytes of one metadata key or text value: it is part of an index.
pub const MAX_METADATA_BYTES: usize = 1024;

/// Tags of one episode.
pub const MAX_TAGS: usize = 32;

/// Lines of one part of a reflection.
pub const MAX_REFLECTION_LINES: usize = 32;

/// Nesting of free JSON: deeper than any tool call, shallower than any parser's stack.
pub const MAX_JSON_DEPTH: usize = 100;

/// Bytes of a whole episode before compression. A libSQL server refuses rows over 5 MB.
pub const MAX_EPISODE_BYTES: usize = 4 * 1024 * 1024;
