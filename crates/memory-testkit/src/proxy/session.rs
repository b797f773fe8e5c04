//! One client connection: request by request, each with its fault.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::http::{Message, Reader};
use super::{Fault, Shared, wire};

/// What a pipe between the raw socket and the session holds.
const PIPE_BYTES: usize = 1 << 20;

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        // Without it small packets wait for acknowledgements, which would be measured as latency.
        let _ = client.set_nodelay(true);
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let (reset, told) = oneshot::channel();
        tokio::spawn(wire::carry(client, far, shared.clone(), told));
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            let end = match tls {
                None => serve(near, &shared).await,
                Some(tls) => match tls.accept(near).await {
                    Ok(stream) => {
                        shared.counters.handshakes.fetch_add(1, Ordering::Relaxed);
                        serve(stream, &shared).await
                    }
                    // The client did not like the certificate.
                    Err(_) => End::Closed,
                },
            };
            if matches!(end, End::Reset) {
                // The wire may be gone already; then there is nothing left to reset.
                let _ = reset.send(());
            }
        });
    }
}

/// How the client is to see the connection end.
enum End {
    Closed,
    Reset,
}

/// What follows a request.
enum Next {
    Request,
    End(End),
}

async fn serve(mut client: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> End {
    let mut session = Session { shared, upstream: None, requests: Reader::default() };
    loop {
        let head = match session.next_head(&mut client).await {
            Ok(Some(head)) => head,
            Ok(None) => return End::Closed,
            Err(_) => return End::Reset,
        };
        shared.counters.request_began();
        let next = session.handle(head, &mut client).await;
        shared.counters.request_ended();
        match next {
            Ok(Next::Request) => {}
            Ok(Next::End(end)) => return end,
            // The server is gone: a client connected to it directly would see a reset.
            Err(_) => return End::Reset,
        }
    }
}

struct Session<'a> {
    shared: &'a Shared,
    upstream: Option<TcpStream>,
    requests: Reader,
}

impl Session<'_> {
    /// Waits for the client's next request, or for the server to close the idle connection.
    async fn next_head(
        &mut self,
        client: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Option<String>> {
        match &mut self.upstream {
            None => self.requests.head(client).await,
            Some(upstream) => {
                let mut unexpected = [0];
                tokio::select! {
                    head = self.requests.head(client) => head,
                    read = upstream.read(&mut unexpected) => match read {
                        Ok(0) => Ok(None),
                        Ok(_) => Err(io::Error::other("the server spoke out of turn")),
                        Err(e) => Err(e),
                    }
                }
            }
        }
    }

    async fn handle(
        &mut self,
        head: String,
        client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> io::Result<Next> {
        let fault = self.shared.next_fault();
        if fault == Some(Fault::ResetBefore) {
            return Ok(Next::End(End::Reset));
        }
        let request = self.requests.message(head, client).await?;
        match fault {
            None => {
                let answer = self.forward(&request).await?;
                client.write_all(&answer.bytes()).await?;
                client.flush().await?;
                Ok(Next::Request)
            }
            Some(fault) => self.break_with(fault, &request, client).await.map(Next::End),
        }
    }

    /// Plays `fault`; the connection is of no use afterwards.
    async fn break_with(
        &mut self,
        fault: Fault,
        request: &Message,
        client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> io::Result<End> {
        match fault {
            Fault::ResetBefore => return Ok(End::Reset),
            Fault::ResetDuring => {
                let bytes = request.bytes();
                let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
                self.upstream().await?.write_all(half).await?;
                return Ok(End::Reset);
            }
            Fault::ResetAfter => {
                self.forward(request).await?;
                return Ok(End::Reset);
            }
            Fault::Blackhole => {
                // Until the client gives up.
                let mut ignored = [0; 1024];
                while client.read(&mut ignored).await? > 0 {}
            }
            Fault::Drip(pause) => {
                for byte in self.forward(request).await?.bytes() {
                    client.write_all(&[byte]).await?;
                    client.flush().await?;
                    sleep(pause).await;
                }
            }
            Fault::SlowClose(pause) => {
                let answer = self.forward(request).await?;
                let head = format!("{}connection: close\r\n\r\n", answer.head_without_framing());
                client.write_all(head.as_bytes()).await?;
                client.write_all(&answer.plain_body()).await?;
                client.flush().await?;
                sleep(pause).await;
            }
            Fault::Status(code) => {
                answer_with(client, &format!("{code} Injected"), "text/plain", b"injected").await?;
            }
            Fault::Html => {
                let page = b"<!doctype html><title>Sign in to this network</title>";
                answer_with(client, "200 OK", "text/html", page).await?;
            }
            Fault::TruncatedJson => {
                let body = self.forward(request).await?.plain_body();
                let half = body.get(..body.len() / 2).unwrap_or_default();
                answer_with(client, "200 OK", "application/json", half).await?;
            }
            Fault::EndlessBody => endless_answer(client).await?,
        }
        // Lets what was written leave before the connection closes.
        client.shutdown().await?;
        sleep(Duration::from_millis(1)).await;
        Ok(End::Closed)
    }

    async fn forward(&mut self, request: &Message) -> io::Result<Message> {
        let upstream = self.upstream().await?;
        upstream.write_all(&request.bytes()).await?;
        let mut answers = Reader::default();
        let head = answers.head(upstream).await?;
        let head = head.ok_or_else(|| io::Error::other("the server closed without an answer"))?;
        answers.message(head, upstream).await
    }

    async fn upstream(&mut self) -> io::Result<&mut TcpStream> {
        let stream = match self.upstream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.shared.upstream).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        Ok(self.upstream.insert(stream))
    }
}

async fn answer_with(
    client: &mut (impl AsyncWrite + Unpin),
    status: &str,
    content_type: &str,
    body: &[u8],
) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    client.write_all(&[head.as_bytes(), body].concat()).await?;
    client.flush().await
}

/// Valid JSON as far as one can see, until the client has had enough.
async fn endless_answer(client: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n[0";
    client.write_all(head.as_bytes()).await?;
    let zeros = b",0".repeat(32 * 1024);
    loop {
        client.write_all(&zeros).await?;
    }
}
