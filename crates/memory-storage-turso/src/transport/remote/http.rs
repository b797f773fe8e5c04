//! One HTTP client for all requests: connections are kept, answers are bounded.

use std::error::Error as StdError;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use memory_core::{Error, Result};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};
use tower::ServiceBuilder;
use tower::filter::AsyncFilterLayer;
use tower::util::MapResponseLayer;

use super::config::RemoteConfig;
use super::connections::{Connections, keeps};
use super::failure::Failure;
use super::metrics::RemoteMetrics;
use super::token::Token;
use super::{hrana, tls};

/// How long a connection may be silent before the kernel asks whether the peer is still there.
const TCP_KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(20);

/// How much of an error page is read.
const MAX_ERROR_BYTES: usize = 4 * 1024;

/// Sends requests.
#[derive(Debug)]
pub(super) struct Http {
    url: Url,
    config: RemoteConfig,
    tls: ClientConfig,
    token: Token,
    /// With the time it was made; replaced when its connections have grown old.
    wire: Mutex<(Instant, Wire)>,
    metrics: Arc<RemoteMetrics>,
}

/// A client and what is known of its connections.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    client: Client,
    connections: Arc<Connections>,
}

impl Http {
    pub(super) fn new(config: &RemoteConfig, metrics: Arc<RemoteMetrics>) -> Result<Self> {
        let (mut url, token) = config.url.endpoint()?;
        let tls = tls::config(url.scheme() == "https", config.ca_file.as_deref())?;
        let token = Token::new(&config.token, token)?;
        let path = format!("{}/{}", url.path().trim_end_matches('/'), hrana::PATH);
        url.set_path(&path);
        let wire = Mutex::new((Instant::now(), Wire::new(config, &tls, &metrics)?));
        Ok(Http { url, config: config.clone(), tls, token, wire, metrics })
    }

    /// Sends `body` and reads the answer, by `deadline`. A refused token is replaced and the request
    /// sent again when there is a newer one.
    pub(super) async fn post(
        &self,
        wire: &Wire,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, Failure> {
        let shown = self.token.header().map_err(Failure::Final)?;
        match self.post_once(wire, body.clone(), shown.clone(), deadline).await {
            Err(Failure::Unauthorized(_)) if self.token.replaced(shown.as_ref()) => {
                let shown = self.token.header().map_err(Failure::Final)?;
                self.post_once(wire, body, shown, deadline).await
            }
            other => other,
        }
    }

    async fn post_once(
        &self,
        wire: &Wire,
        body: Bytes,
        token: Option<HeaderValue>,
        deadline: Instant,
    ) -> Result<Bytes, Failure> {
        self.metrics.requests.increment();
        self.metrics.bytes_sent.add(body.len() as u64);
        let answer = timeout_at(deadline, self.exchange(wire, body, token)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(Failure::Lost(format!("{} did not answer in time", self.config.url)))
        })?;
        self.metrics.bytes_received.add(answer.len() as u64);
        Ok(answer)
    }

    async fn exchange(
        &self,
        wire: &Wire,
        body: Bytes,
        token: Option<HeaderValue>,
    ) -> Result<Bytes, Failure> {
        let url = self.url.clone();
        let mut request = wire.client.post(url).header(CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        let call = wire.connections.call();
        let answer = request.body(body).send().await.map_err(|e| self.failure(&e))?;
        let keeps = keeps(&answer);
        if answer.status() != StatusCode::OK {
            return Err(refusal(answer).await);
        }
        let body = read(answer, self.config.max_response_bytes).await;
        if body.is_ok() {
            call.ended(keeps);
        }
        body.map_err(|e| match e {
            ReadError::TooLarge => {
                let limit = self.config.max_response_bytes;
                Failure::TooLarge(format!(
                    "the answer of {} is over {limit} bytes",
                    self.config.url
                ))
            }
            ReadError::Broken(e) => self.failure(&e),
        })
    }

    /// A request that failed before its answer was read to the end.
    fn failure(&self, e: &reqwest::Error) -> Failure {
        let url = &self.config.url;
        if let Some(problem) = certificate_problem(e) {
            return Failure::Final(Error::Refused {
                problem: format!("the certificate of {url} is not trusted: {problem}"),
                hint: "check the URL, or name the PEM file of the authority that signed it".into(),
            });
        }
        let cause = root_cause(e);
        if e.is_connect() || e.is_builder() {
            let reason = format!(
                "{url} cannot be reached ({cause}); check the URL, the network and the server"
            );
            return Failure::Unreachable(reason);
        }
        Failure::Lost(format!("the connection to {url} broke ({cause})"))
    }

    /// What sends the requests of one operation.
    pub(super) fn wire(&self) -> Result<Wire> {
        if self.config.idle_timeout.is_zero() {
            return Wire::new(&self.config, &self.tls, &self.metrics);
        }
        let mut current = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, _) = &*current;
        if made.elapsed() > self.config.max_connection_age {
            let wire = Wire::new(&self.config, &self.tls, &self.metrics)?;
            *current = (Instant::now(), wire);
        }
        Ok(current.1.clone())
    }
}

impl Wire {
    fn new(
        config: &RemoteConfig,
        tls: &ClientConfig,
        metrics: &Arc<RemoteMetrics>,
    ) -> Result<Self> {
        let connections = Arc::new(Connections::new(metrics.clone()));
        let (asked, made) = (connections.clone(), connections.clone());
        let watch = ServiceBuilder::new()
            .layer(MapResponseLayer::new(move |connection| {
                made.opened();
                connection
            }))
            .layer(AsyncFilterLayer::new(move |address| {
                let asked = asked.clone();
                async move { asked.may_open().await.map(|()| address) }
            }));
        let client = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .http1_only()
            .tcp_nodelay(true)
            .tcp_keepalive(TCP_KEEPALIVE)
            .connect_timeout(config.connect_timeout)
            .connector_layer(watch)
            // Zero: the client is an operation's own, and its connection ends with it.
            .pool_idle_timeout((!config.idle_timeout.is_zero()).then_some(config.idle_timeout))
            .gzip(config.compression)
            // A token is for this server, not for where it may point.
            .redirect(redirect::Policy::none())
            // Settings come from the configuration, not from the environment.
            .no_proxy()
            .build()
            .map_err(|e| Error::Refused {
                problem: format!("the HTTP client cannot be set up: {}", root_cause(&e)),
                hint: "check the TLS settings".into(),
            })?;
        Ok(Wire { client, connections })
    }
}

enum ReadError {
    TooLarge,
    Broken(reqwest::Error),
}

/// Reads to the end, or to the limit.
async fn read(mut answer: Response, limit: usize) -> Result<Bytes, ReadError> {
    let announced = answer.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Err(ReadError::TooLarge);
    }
    // Put together at the end: a buffer that grows would take twice the limit before it is known
    // that the answer is too large.
    let (mut chunks, mut length) = (Vec::new(), 0);
    while let Some(chunk) = answer.chunk().await.map_err(ReadError::Broken)? {
        length += chunk.len();
        if length > limit {
            return Err(ReadError::TooLarge);
        }
        chunks.push(chunk);
    }
    Ok(match chunks.as_slice() {
        [only] => only.clone(),
        _ => chunks.concat().into(),
    })
}

async fn refusal(answer: Response) -> Failure {
    let status = answer.status().as_u16();
    // The status says it all; the body only helps a reader, if it comes.
    let body = read(answer, MAX_ERROR_BYTES).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    match serde_json::from_str::<hrana::HttpError>(&text) {
        Ok(e) => e.failure(status),
        Err(_) => Failure::from_status(status, &text),
    }
}

/// A certificate is for somebody to look at, not to be tried again.
fn certificate_problem(e: &reqwest::Error) -> Option<String> {
    causes(e).map(innermost).find_map(|cause| match cause.downcast_ref::<rustls::Error>()? {
        e @ rustls::Error::InvalidCertificate(_) => Some(e.to_string()),
        _ => None,
    })
}

/// I/O errors hide what they wrap from `source`.
fn innermost<'a>(mut cause: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    while let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        cause = inner;
    }
    cause
}

fn causes(e: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = e;
    std::iter::successors(Some(first), |&e| e.source())
}

/// What happened at the bottom: the layers above it say little, and one of them the whole URL.
fn root_cause(e: &reqwest::Error) -> String {
    causes(e).last().map(|cause| innermost(cause).to_string()).unwrap_or_default()
}
