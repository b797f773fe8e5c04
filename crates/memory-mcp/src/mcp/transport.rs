//! The stdio transport: bounded frames in, one line per message out, as many calls in flight as
//! memory allows.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ErrorData, JsonRpcMessage, RequestId,
    ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};

use super::frame::{Frame, FrameReader, MAX_FRAME_BYTES};
use super::message::{self, Incoming};

/// Bytes that one unit of the budget for calls in flight stands for.
const UNIT_BYTES: usize = 64 * 1024;

/// Units of all calls in flight together: 1,024 small calls, or 64 MiB of large ones. Beyond them
/// nothing is read, so that a client that outruns the database waits instead of filling the memory.
const MAX_UNITS: usize = 1024;

/// A connection on a pair of byte streams. Clones share it.
#[derive(Clone)]
pub(super) struct LineTransport {
    inbox: Arc<Mutex<mpsc::Receiver<ClientJsonRpcMessage>>>,
    output: Output,
}

impl LineTransport {
    /// Starts reading `input` on a task of its own. Input ends with the stream, or with `stop`.
    pub(super) fn open<R, W>(
        input: R,
        output: W,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Self
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (outbox, inbox) = mpsc::channel(1);
        let writer: Box<dyn AsyncWrite + Unpin + Send> = Box::new(output);
        let output = Output {
            writer: Arc::new(Mutex::new(writer)),
            in_flight: Arc::new(InFlight::default()),
        };
        let reader = Reader { frames: FrameReader::new(input), outbox, output: output.clone() };
        tokio::spawn(async move {
            tokio::select! {
                result = reader.run() => {
                    if let Err(error) = result {
                        tracing::warn!(%error, "reading from the client failed");
                    }
                }
                () = stop => tracing::debug!("asked to stop"),
            }
        });
        LineTransport { inbox: Arc::new(Mutex::new(inbox)), output }
    }
}

impl Transport<RoleServer> for LineTransport {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let output = self.output.clone();
        async move { output.answer(message).await }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.inbox.lock().await.recv().await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.output.writer.lock().await.flush().await
    }
}

/// Takes in lines, answers those that are no messages, hands on the rest.
struct Reader<R> {
    frames: FrameReader<R>,
    outbox: mpsc::Sender<ClientJsonRpcMessage>,
    output: Output,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    async fn run(mut self) -> io::Result<()> {
        while let Some(frame) = self.frames.next().await? {
            let (incoming, bytes) = match frame {
                Frame::Line(line) => (message::parse(&line), line.len()),
                Frame::Oversized(bytes, id) => (oversized(bytes, id), 0),
            };
            match incoming {
                Incoming::Message(message) => {
                    let Some(message) = self.output.admit(*message, bytes).await? else { continue };
                    if self.outbox.send(message).await.is_err() {
                        return Ok(());
                    }
                }
                Incoming::Refuse(error, id) => self.output.refuse(error, id).await?,
                Incoming::Ignore => {}
            }
        }
        Ok(())
    }
}

fn oversized(bytes: u64, id: Option<RequestId>) -> Incoming {
    let problem = format!(
        "the message has {bytes} bytes, the limit is {MAX_FRAME_BYTES}; it was not processed: \
         send fewer steps in one call, or shorten their texts"
    );
    Incoming::Refuse(ErrorData::invalid_request(problem, None), id)
}

/// The way out, shared by whoever has something to say.
#[derive(Clone)]
struct Output {
    writer: Arc<Mutex<Box<dyn AsyncWrite + Unpin + Send>>>,
    in_flight: Arc<InFlight>,
}

impl Output {
    /// Waits until there is room for the call. `None`: it was answered here.
    async fn admit(
        &self,
        message: ClientJsonRpcMessage,
        bytes: usize,
    ) -> io::Result<Option<ClientJsonRpcMessage>> {
        let in_flight = &self.in_flight;
        match &message {
            JsonRpcMessage::Request(request) => {
                if in_flight.enter(&request.id, bytes).await {
                    return Ok(Some(message));
                }
                let id = request.id.clone();
                let problem = format!("id: {id} belongs to a call in flight; use a fresh id");
                self.refuse(ErrorData::invalid_request(problem, None), Some(id)).await?;
                Ok(None)
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) =
                    &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    // A cancelled call gets no answer, so it leaves here.
                    drop(in_flight.leave(id));
                }
                Ok(Some(message))
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => Ok(None),
        }
    }

    async fn refuse(&self, error: ErrorData, id: Option<RequestId>) -> io::Result<()> {
        self.write(&JsonRpcMessage::error(error, id)).await
    }

    /// Writes a message. The call that it answers leaves before: the client may use the id again as
    /// soon as it has read the answer. Its share of the budget is free once the answer is written.
    async fn answer(&self, message: ServerJsonRpcMessage) -> io::Result<()> {
        let id = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let _share = id.and_then(|id| self.in_flight.leave(id));
        self.write(&message).await
    }

    /// One message, one line, whoever else is writing.
    async fn write(&self, message: &ServerJsonRpcMessage) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let mut writer = self.writer.lock().await;
        writer.write_all(&line).await?;
        writer.flush().await
    }
}

/// The calls that were read and not yet answered, within a budget.
struct InFlight {
    calls: SyncMutex<HashMap<RequestId, OwnedSemaphorePermit>>,
    budget: Arc<Semaphore>,
}

impl Default for InFlight {
    fn default() -> Self {
        InFlight { calls: SyncMutex::default(), budget: Arc::new(Semaphore::new(MAX_UNITS)) }
    }
}

impl InFlight {
    /// Waits until the budget allows a call of so many bytes. False: its id is in use.
    async fn enter(&self, id: &RequestId, bytes: usize) -> bool {
        if self.calls().contains_key(id) {
            return false;
        }
        let units = u32::try_from(1 + bytes / UNIT_BYTES).unwrap_or(u32::MAX);
        let Ok(permit) = self.budget.clone().acquire_many_owned(units).await else {
            return false;
        };
        self.calls().insert(id.clone(), permit);
        true
    }

    /// Takes a call out; its share of the budget is free when the result is dropped.
    fn leave(&self, id: &RequestId) -> Option<OwnedSemaphorePermit> {
        self.calls().remove(id)
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<RequestId, OwnedSemaphorePermit>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// The largest frame fits into the budget, or it would wait for ever.
const _: () = assert!(MAX_FRAME_BYTES / UNIT_BYTES < MAX_UNITS);
