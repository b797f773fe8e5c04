//! Frames: one JSON-RPC message a line, bounded in memory whatever the peer sends.

use std::io;

use rmcp::model::RequestId;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Bytes of one incoming message. A whole episode holds 4 MiB of text, and JSON seldom doubles it.
pub(crate) const MAX_FRAME_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of a message over the limit that are held at a time while it is thrown away.
const DISCARD_CHUNK_BYTES: u64 = 64 * 1024;

/// What a line of input was.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    /// A line, with its line feed if it had one.
    Line(Vec<u8>),
    /// A line over [`MAX_FRAME_BYTES`]. It was thrown away; this is its size, and its `id`.
    Oversized(u64, Option<RequestId>),
}

/// Splits a byte stream into frames.
pub(super) struct FrameReader<R> {
    input: BufReader<R>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(super) fn new(input: R) -> Self {
        FrameReader { input: BufReader::with_capacity(64 * 1024, input) }
    }

    /// The next frame; `None` at the end of the input.
    pub(super) async fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.input).take(MAX_FRAME_BYTES as u64 + 1);
        bounded.read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.len() > MAX_FRAME_BYTES && !line.ends_with(b"\n") {
            return self.discard(line).await.map(Some);
        }
        Ok(Some(Frame::Line(line)))
    }

    /// Reads to the end of the line that begins with `chunk`, keeping nothing but its id.
    async fn discard(&mut self, mut chunk: Vec<u8>) -> io::Result<Frame> {
        let (mut bytes, mut scan) = (0, IdScan::default());
        loop {
            bytes += chunk.len() as u64;
            scan.feed(&chunk);
            if chunk.is_empty() || chunk.ends_with(b"\n") {
                return Ok(Frame::Oversized(bytes, scan.id));
            }
            chunk.clear();
            chunk.shrink_to(DISCARD_CHUNK_BYTES as usize);
            let mut bounded = (&mut self.input).take(DISCARD_CHUNK_BYTES);
            bounded.read_until(b'\n', &mut chunk).await?;
        }
    }
}

/// The `id` of a message that could not be read as one.
pub(super) fn id_of(message: &str) -> Option<RequestId> {
    let mut scan = IdScan::default();
    scan.feed(message.as_bytes());
    scan.id
}

/// Finds the `id` of a message while its bytes stream by. Clients put it first, or last.
#[derive(Default)]
struct IdScan {
    id: Option<RequestId>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The key or value being read at the top level, as far as it is short.
    token: Vec<u8>,
    /// The value being read is that of `id`.
    at_id: bool,
}

impl IdScan {
    /// Longer keys and ids are cut, which makes them no id.
    const MAX_TOKEN_BYTES: usize = 256;

    fn feed(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.push(*byte));
    }

    fn push(&mut self, byte: u8) {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
        } else {
            match byte {
                b'{' | b'[' => return self.depth += 1,
                b'}' | b']' => {
                    self.end_of_value();
                    return self.depth = self.depth.saturating_sub(1);
                }
                b',' => return self.end_of_value(),
                b':' if self.depth == 1 => {
                    self.at_id = self.token == b"\"id\"";
                    return self.token.clear();
                }
                b'"' => self.in_string = true,
                b' ' | b'\t' | b'\r' | b'\n' => return,
                _ => {}
            }
        }
        if self.depth == 1 && self.token.len() < Self::MAX_TOKEN_BYTES {
            self.token.push(byte);
        }
    }

    fn end_of_value(&mut self) {
        if self.depth != 1 {
            return;
        }
        if self.at_id && self.id.is_none() {
            self.id = serde_json::from_slice(&self.token).ok();
        }
        self.at_id = false;
        self.token.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn frames(input: &[u8]) -> Vec<Frame> {
        let mut reader = FrameReader::new(input);
        let mut frames = Vec::new();
        while let Some(frame) = reader.next().await.unwrap() {
            frames.push(frame);
        }
        frames
    }

    #[tokio::test]
    async fn lines_up_to_the_limit_pass_and_one_byte_more_does_not() {
        let line = |n: usize| [vec![b'x'; n], vec![b'\n']].concat();
        let fits = line(MAX_FRAME_BYTES);
        let input = [fits.clone(), line(MAX_FRAME_BYTES + 1), b"{}".to_vec()].concat();
        let size = MAX_FRAME_BYTES as u64 + 2;
        let expected =
            [Frame::Line(fits), Frame::Oversized(size, None), Frame::Line(b"{}".to_vec())];
        assert!(frames(&input).await == expected);
    }

    #[test]
    fn the_id_is_found_first_last_and_behind_decoys() {
        let id = |text: &str| {
            let mut scan = IdScan::default();
            text.as_bytes().chunks(3).for_each(|chunk| scan.feed(chunk));
            scan.id
        };
        let number = Some(RequestId::Number(7));
        assert_eq!(id(r#"{"id":7,"params":{"id":9,"x":[{"id":8}]}}"#), number);
        assert_eq!(
            id(r#"{"params":{"id":9,"t":"\"id\":1,{"},"jsonrpc":"2.0", "id" : 7 }"#),
            number
        );
        assert_eq!(id(r#"{"method":"id","id":"a\"b"}"#), Some(RequestId::String("a\"b".into())));
        assert_eq!(id(r#"{"params":{"id":9}}"#), None);
        assert_eq!(id(r#"{"id":{"id":9}}"#), None);
        assert_eq!(id("[[[]]]]]]} \"id\":7,"), None);
    }
}
