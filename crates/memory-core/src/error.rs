//! One error type for the domain and the storage port.

use crate::episode::EpisodeId;

/// What every fallible call of the domain and of a store returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms of what the caller can do about it.
///
/// Every message names the thing, the value (cut to 80 characters) and the next step.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input breaks a rule or a limit. Nothing was written; change the named field.
    #[error("{field}: {problem}")]
    Invalid {
        /// Path of the field, for instance `steps[3].parameters`.
        field: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// No such thing in this project.
    #[error("{kind} {id} was not found in this project; {hint}")]
    NotFound {
        /// "episode", "pattern", ...
        kind: &'static str,
        /// As the caller gave it.
        id: String,
        /// What to do next.
        hint: &'static str,
    },
    /// Somebody else wrote first. Nothing was written; read the current version and decide again.
    #[error(
        "episode {id} is at version {current}, this write was based on version {base}; \
         read it again and repeat the change on the current version"
    )]
    Conflict {
        /// The episode.
        id: EpisodeId,
        /// The version the write was based on; 0 means "must not exist yet".
        base: u64,
        /// The version in the database; 0 means "does not exist".
        current: u64,
    },
    /// The episode was forgotten. A deleted episode never comes back under its id.
    #[error("episode {id} was forgotten and stays forgotten; record a new episode instead")]
    Forgotten {
        /// The episode.
        id: EpisodeId,
    },
    /// Steps or a completion for an episode that is already completed.
    #[error("episode {id} is already completed ({outcome}); start a new episode for further work")]
    Completed {
        /// The episode.
        id: EpisodeId,
        /// Its recorded outcome.
        outcome: String,
    },
    /// The write was submitted and no answer came: it may or may not have been applied.
    /// Repeating it with the same write id is safe.
    #[error(
        "the outcome of the write is unknown: {reason}; repeat it with the same id, or read the episode to find out"
    )]
    Unknown {
        /// What happened to the answer.
        reason: String,
    },
    /// The database cannot be reached or does not answer in time. Nothing was written.
    #[error("the database is not available: {reason}; nothing was written, repeat it in a moment")]
    Unavailable {
        /// What was seen.
        reason: String,
    },
    /// Too much is waiting already. Nothing was submitted; wait and repeat.
    #[error("too many requests are waiting ({waiting}); repeat this one in a moment")]
    Overloaded {
        /// How many calls wait in the queue.
        waiting: usize,
    },
    /// The database refused: rights, a full disk, a read-only file, a newer schema.
    #[error("{problem}; {hint}")]
    Refused {
        /// What was refused and why.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// Stored bytes are not what was written.
    #[error("{thing} is damaged: {problem}; {hint}")]
    Corrupt {
        /// Which record or file.
        thing: String,
        /// How it shows.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// An engine error that fits nowhere else.
    #[error("{context}: {message}")]
    Engine {
        /// What was being done.
        context: String,
        /// The engine's own words.
        message: String,
    },
}

impl Error {
    /// A rule or limit broken by `field`.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Error::Invalid { field: field.into(), problem: problem.into() }
    }

    /// A short name of what went wrong, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Invalid { .. } => "invalid",
            Error::NotFound { .. } => "not_found",
            Error::Conflict { .. } => "conflict",
            Error::Forgotten { .. } => "forgotten",
            Error::Completed { .. } => "completed",
            Error::Unknown { .. } => "unknown",
            Error::Unavailable { .. } => "unavailable",
            Error::Overloaded { .. } => "overloaded",
            Error::Refused { .. } => "refused",
            Error::Corrupt { .. } => "corrupt",
            Error::Engine { .. } => "engine",
        }
    }

    /// True when repeating the same call later may succeed and can do no harm.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unknown { .. } | Error::Unavailable { .. } | Error::Overloaded { .. })
    }
}

/// `text` cut to 80 characters for an error message, control characters made visible.
pub fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}
