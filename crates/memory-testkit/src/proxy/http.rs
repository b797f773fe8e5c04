//! As much of HTTP/1.1 as it takes to tell where a message ends.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// A message: its head up to and including the empty line, and its body as it was framed.
pub(super) struct Message {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
    /// Whether `body` still holds its chunk headers.
    chunked: bool,
}

impl Message {
    /// The body without chunk headers.
    pub(super) fn plain_body(&self) -> Vec<u8> {
        if !self.chunked {
            return self.body.clone();
        }
        let mut plain = Vec::new();
        let mut rest = self.body.as_slice();
        while let Some((line, after)) = split_line(rest) {
            let size = chunk_size(line).unwrap_or(0);
            let (Some(data), Some(next)) = (after.get(..size), after.get(size + 2..)) else {
                break;
            };
            plain.extend_from_slice(data);
            rest = next;
        }
        plain
    }

    /// The head without the headers that say how the body is framed.
    pub(super) fn head_without_framing(&self) -> String {
        const FRAMING: [&str; 3] = ["content-length:", "transfer-encoding:", "connection:"];
        let lines = self.head.trim_end().split("\r\n");
        lines
            .filter(|line| !FRAMING.iter().any(|name| line.to_ascii_lowercase().starts_with(name)))
            .map(|line| format!("{line}\r\n"))
            .collect()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

/// Reads messages off a connection; bytes of the next one stay in the buffer.
#[derive(Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// The next head. `None`: the connection ended between two messages.
    pub(super) async fn head(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = self.take(end + 4);
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            if from.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(ended_early()) };
            }
        }
    }

    /// The body that belongs to `head`.
    pub(super) async fn message(
        &mut self,
        head: String,
        from: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Message> {
        let chunked = header(&head, "transfer-encoding").is_some_and(|v| v.contains("chunked"));
        let body = if chunked {
            self.chunked_body(from).await?
        } else {
            let length = header(&head, "content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
            self.exactly(length, from).await?
        };
        Ok(Message { head, body, chunked })
    }

    async fn chunked_body(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                match split_line(&self.buffer) {
                    Some((line, _)) => break line.len() + 2,
                    None => self.more(from).await?,
                }
            };
            let line = self.take(line);
            let size = chunk_size(&line).ok_or_else(|| io::Error::other("a bad chunk header"))?;
            body.extend_from_slice(&line);
            // The last chunk is empty and followed, without trailers, by an empty line.
            body.extend(self.exactly(size + 2, from).await?);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    async fn exactly(
        &mut self,
        length: usize,
        from: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.more(from).await?;
        }
        Ok(self.take(length))
    }

    async fn more(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        match from.read_buf(&mut self.buffer).await? {
            0 => Err(ended_early()),
            _ => Ok(()),
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|w| w == b"\r\n")?;
    Some((bytes.get(..end)?, bytes.get(end + 2..)?))
}

fn chunk_size(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    usize::from_str_radix(text.split(';').next()?.trim(), 16).ok()
}

fn ended_early() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended inside a message")
}
