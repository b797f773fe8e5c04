//! What can befall a request.

use std::time::Duration;

/// What befalls one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset before the server has seen anything of the request.
    ResetBefore,
    /// The server gets half of the request, then both connections are reset.
    ResetDuring,
    /// The server carries the request out, its answer is lost and the connection reset.
    ResetAfter,
    /// The server gets nothing and the client no answer.
    Blackhole,
    /// The answer trickles in, one byte after the other with this much time between them.
    Drip(Duration),
    /// The answer has no length and the connection stays open for this long after its last byte.
    SlowClose(Duration),
    /// An answer of this status; the server has not seen the request.
    Status(u16),
    /// A web page with status 200, as of a captive portal; the server has not seen the request.
    Html,
    /// The server's answer, well-formed HTTP, with its second half missing.
    TruncatedJson,
    /// An answer without end; the server has not seen the request.
    EndlessBody,
}

impl Fault {
    /// One of each kind.
    pub const ALL: [Fault; 11] = [
        Fault::ResetBefore,
        Fault::ResetDuring,
        Fault::ResetAfter,
        Fault::Blackhole,
        Fault::Drip(Duration::from_millis(50)),
        Fault::SlowClose(Duration::from_millis(50)),
        Fault::Status(429),
        Fault::Status(503),
        Fault::Html,
        Fault::TruncatedJson,
        Fault::EndlessBody,
    ];
}
