//! What a command can fail with, as a person and as a script see it.

use std::io;
use std::process::ExitCode;

use memory_core::Error;

use crate::config::Place;

/// Exit codes; the numbers are part of the interface and listed in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The database, the disk or the system said no.
    Failed = 1,
    /// The command line, a setting or the input breaks a rule; nothing was done.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// An import left out something that could be read.
    Incomplete = 4,
    /// A check found something that is not as it should be.
    Unsound = 5,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// To be told: `error: message`, `hint: hint`.
    Told {
        /// For the script.
        exit: Exit,
        /// What went wrong, in one line.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// Everything was already said; only the exit code is left.
    Silent(Exit),
    /// Nobody reads the output any more. Not an error: `memory-mcp export | head` is fine.
    BrokenPipe,
}

impl Failure {
    fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure::Told { exit, message: message.into(), hint: None }
    }

    /// The database, the disk or the system said no.
    pub fn failed(message: impl Into<String>) -> Self {
        Failure::new(Exit::Failed, message)
    }

    /// The command line, a setting or the input breaks a rule.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, message)
    }

    /// What was named does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Failure::new(Exit::NotFound, message)
    }

    /// Stopped by Ctrl-C.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Failure::new(Exit::Interrupted, message)
    }

    /// Adds what to do next.
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        if let Failure::Told { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// Adds what to do next where nothing better was said.
    pub fn or_hint(self, text: impl Into<String>) -> Self {
        match self {
            Failure::Told { hint: None, .. } => self.hint(text),
            other => other,
        }
    }

    /// Names the server it came from, where nothing better was said. A file names itself.
    pub fn about(self, place: &Place) -> Self {
        match (&self, place) {
            (Failure::Told { exit: Exit::Failed, .. }, Place::Server(url)) => {
                self.or_hint(format!("the database is {url}; is it up and reachable from here?"))
            }
            _ => self,
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Told { exit, .. } | Failure::Silent(exit) => ExitCode::from(*exit as u8),
            Failure::BrokenPipe => ExitCode::SUCCESS,
        }
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        let message = e.to_string();
        match e {
            Error::Invalid { .. } => Failure::usage(message),
            Error::NotFound { kind, id, hint } => {
                Failure::not_found(format!("{kind} {id} was not found")).hint(hint)
            }
            Error::Refused { problem, hint } => Failure::failed(problem).hint(hint),
            Error::Corrupt { thing, problem, hint } => {
                Failure::failed(format!("{thing} is damaged: {problem}")).hint(hint)
            }
            _ => Failure::failed(message),
        }
    }
}

/// Of output: everything else that reads or writes says what it was doing.
impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::failed(format!("cannot write the output: {e}")),
        }
    }
}

/// Of JSON written to the output.
impl From<serde_json::Error> for Failure {
    fn from(e: serde_json::Error) -> Self {
        Failure::from(io::Error::from(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let gone = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(gone.exit_code(), ExitCode::SUCCESS);
    }

    #[test]
    fn broken_rules_are_usage_errors_and_the_rest_are_failures() {
        let exit = |e: Error| match Failure::from(e) {
            Failure::Told { exit, .. } => exit,
            other => panic!("{other:?}"),
        };
        assert_eq!(exit(Error::invalid("task", "is empty")), Exit::Usage);
        assert_eq!(exit(Error::Unavailable { reason: "gone".into() }), Exit::Failed);
    }
}
