//! How one request can fail, and what that lets us do next.

use std::borrow::Cow;

use memory_core::Error;
use memory_core::error::excerpt;

use crate::batch::Access;

/// Why a request brought no result.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The server did not get the request, or did not take it up: connection refused, 503.
    Unreachable(String),
    /// The request went out and no answer came that can be trusted: it may have been carried out.
    Lost(String),
    /// The server lives and asks for less: 429.
    Throttled(String),
    /// The transaction did not start or was rolled back because another one was in the way.
    Contended(String),
    /// The token was refused: 401.
    Unauthorized(String),
    /// The answer is larger than we are willing to hold. What it says, nobody knows.
    TooLarge(String),
    /// The server's final word; nothing was written.
    Final(Error),
}

impl Failure {
    /// The same request, sent again, may succeed. It does no harm even where the first one was
    /// carried out, because every write is idempotent by its write id.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(
            self,
            Failure::Unreachable(_)
                | Failure::Lost(_)
                | Failure::Throttled(_)
                | Failure::Contended(_)
        )
    }

    /// The server may have carried the request out.
    pub(super) fn may_be_applied(&self) -> bool {
        matches!(self, Failure::Lost(_) | Failure::TooLarge(_))
    }

    /// No sign of life from a working server: what the circuit breaker counts.
    pub(super) fn is_outage(&self) -> bool {
        matches!(self, Failure::Unreachable(_) | Failure::Lost(_))
    }

    /// A reason to ask less of the server: what the adaptive limit backs off from.
    pub(super) fn is_congestion(&self) -> bool {
        self.is_outage() || matches!(self, Failure::Throttled(_))
    }

    /// What the caller is told. `may_be_applied` when an earlier try of the same batch was lost.
    pub(super) fn into_error(self, access: Access, may_be_applied: bool) -> Error {
        if access == Access::Write && (may_be_applied || self.may_be_applied()) {
            return Error::Unknown { reason: self.reason().into_owned() };
        }
        match self {
            Failure::Final(error) => error,
            Failure::Unauthorized(reason) => Error::Refused {
                problem: format!("the database refused the token: {reason}"),
                hint: "create a token for this database and set it".into(),
            },
            Failure::TooLarge(problem) => Error::Refused {
                problem,
                hint: "ask for fewer episodes at a time, or raise max_response_bytes".into(),
            },
            Failure::Unreachable(reason)
            | Failure::Lost(reason)
            | Failure::Throttled(reason)
            | Failure::Contended(reason) => Error::Unavailable { reason },
        }
    }

    /// What happened, in words.
    pub(super) fn reason(&self) -> Cow<'_, str> {
        match self {
            Failure::Unreachable(reason)
            | Failure::Lost(reason)
            | Failure::Throttled(reason)
            | Failure::Contended(reason)
            | Failure::Unauthorized(reason)
            | Failure::TooLarge(reason) => reason.into(),
            Failure::Final(error) => error.to_string().into(),
        }
    }

    /// What an HTTP status other than 200 means. `body` is for the message only.
    pub(super) fn from_status(status: u16, body: &str) -> Self {
        let said = format!("HTTP {status}: {}", excerpt(body.trim()));
        let refused = |hint: &str| {
            Failure::Final(Error::Refused {
                problem: format!("the database server refused the request ({said})"),
                hint: hint.into(),
            })
        };
        match status {
            401 => Failure::Unauthorized(said),
            403 => refused("use a token with the right to do this"),
            404 => refused("check the database URL: nothing that speaks Hrana 3 is there"),
            413 => refused("send fewer or smaller episodes at a time"),
            429 => Failure::Throttled(said),
            503 => Failure::Unreachable(said),
            // A gateway that lost its server, a server that lost its thread.
            408 | 500..=599 => Failure::Lost(said),
            300..=399 => refused("set the URL the server redirects to; redirects are not followed"),
            _ => refused("check the database URL and the server's version"),
        }
    }

    /// What the server's error in an answer means for a transaction that did not commit.
    pub(super) fn from_server(code: &str, message: &str) -> Self {
        let said = if code.is_empty() { message.to_owned() } else { format!("{message} ({code})") };
        let refused = |hint: &str| {
            Failure::Final(Error::Refused {
                problem: format!("the database refused: {said}"),
                hint: hint.into(),
            })
        };
        match code {
            _ if code.starts_with("SQLITE_BUSY") || code.starts_with("SQLITE_LOCKED") => {
                Failure::Contended(said)
            }
            // The stream was gone, or its transaction taken away, before the commit.
            "STREAM_EXPIRED" | "TRANSACTION_TIMEOUT" | "TRANSACTION_BUSY" => {
                Failure::Contended(said)
            }
            "RESPONSE_TOO_LARGE" => Failure::TooLarge(said),
            "SQLITE_FULL" => refused("free some space on the server"),
            "SQLITE_READONLY" | "SQLITE_AUTH" | "SQL_WRITE_BLOCKED" | "BLOCKED" => {
                refused("use a token with the right to do this, and check the plan's limits")
            }
            "SQLITE_TOOBIG" => refused("store less in one episode"),
            _ => Failure::Final(Error::Engine { context: "the database".into(), message: said }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_may_have_been_applied_is_never_called_unwritten() {
        let lost = Failure::Lost("reset".into());
        assert!(matches!(lost.clone().into_error(Access::Write, false), Error::Unknown { .. }));
        assert!(matches!(lost.into_error(Access::Read, false), Error::Unavailable { .. }));
        for later in [
            Failure::Unreachable("refused".into()),
            Failure::Throttled("429".into()),
            Failure::Contended("busy".into()),
            Failure::Unauthorized("401".into()),
            Failure::from_server("SQLITE_FULL", "disk full"),
        ] {
            let error = later.clone().into_error(Access::Write, true);
            assert!(matches!(error, Error::Unknown { .. }), "{later:?}");
            let error = later.clone().into_error(Access::Write, false);
            assert!(!matches!(error, Error::Unknown { .. }), "{later:?}");
        }
    }

    #[test]
    fn statuses_say_whether_to_try_again() {
        let retry = |status| Failure::from_status(status, "x").is_retryable();
        assert!([408, 429, 500, 502, 503, 504].into_iter().all(retry));
        assert!(![301, 400, 401, 403, 404, 413, 418].into_iter().any(retry));
        assert!(!Failure::from_status(503, "x").may_be_applied());
        assert!(Failure::from_status(502, "x").may_be_applied());
    }
}
