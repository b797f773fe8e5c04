//! A small real HTTP server that makes embeddings, with a deterministic hashing model.
//!
//! The model `hashing-N` knows nothing of meaning but a list of words that say the same. Every word,
//! brought to the first of its group, is hashed to one of `N` dimensions and a sign (Weinberger et al.,
//! "Feature Hashing for Large Scale Multitask Learning", ICML 2009), so texts are as near as their words
//! are common.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

/// Words that say the same to the model. Recall's own lists do not have these pairs.
const ALIKE: &[&[&str]] = &[
    &["varnish", "lacquer"],
    &["tombola", "raffle"],
    &["beekeeper", "apiarist"],
    &["ledger", "bookkeeping"],
    &["harbour", "seaport"],
];

/// Shorter words say nothing.
const MIN_WORD: usize = 4;

/// How often a waiting thread looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Deserialize)]
struct Request {
    model: String,
    input: Vec<String>,
}

/// A server on loopback; it stops when dropped.
#[derive(Debug)]
pub struct EmbeddingServer {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    stopped: AtomicBool,
    delay_ms: AtomicU64,
    refuses: AtomicBool,
    key: Mutex<Option<String>>,
    texts: Mutex<Vec<String>>,
}

impl EmbeddingServer {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::on(listener)
    }

    /// Starts one again where `self` was.
    pub fn start_again(&self) -> Self {
        let bound = (0..100).find_map(|_| {
            thread::sleep(LOOK);
            TcpListener::bind(self.address).ok()
        });
        Self::on(bound.expect("the port is free again"))
    }

    fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("a listener that can be stopped");
        let state = Arc::new(State::default());
        let shared = state.clone();
        thread::spawn(move || {
            while !shared.stopped.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((connection, _)) => {
                        let shared = shared.clone();
                        thread::spawn(move || serve(&connection, &shared));
                    }
                    Err(_) => thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        EmbeddingServer { address, state }
    }

    /// What `embeddings.url` is set to.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Every text that was sent so far.
    pub fn texts(&self) -> Vec<String> {
        self.state.texts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits this long before each answer.
    pub fn delay(&self, delay: Duration) {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.state.delay_ms.store(ms, Ordering::SeqCst);
    }

    /// Refuses whoever shows another key.
    pub fn ask_for(&self, key: &str) {
        *self.state.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.into());
    }

    /// Says of everything that it is a bad request, as some servers do of a wrong key.
    pub fn refuse(&self, everything: bool) {
        self.state.refuses.store(everything, Ordering::SeqCst);
    }

    /// Closes the port and every connection.
    pub fn stop(&self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        thread::sleep(2 * LOOK);
    }
}

impl Drop for EmbeddingServer {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
    }
}

fn serve(connection: &TcpStream, state: &State) {
    let prepared =
        connection.set_nonblocking(false).and_then(|()| connection.set_read_timeout(Some(LOOK)));
    prepared.expect("a blocking connection");
    let mut reader = BufReader::new(connection);
    while !state.stopped.load(Ordering::SeqCst) {
        let Some((key, body)) = request(&mut reader, state) else { return };
        thread::sleep(Duration::from_millis(state.delay_ms.load(Ordering::SeqCst)));
        if state.stopped.load(Ordering::SeqCst) {
            return;
        }
        let (status, answer) = answer(key.as_deref(), &body, state);
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        let mut out = connection;
        if out.write_all(format!("{head}{answer}").as_bytes()).is_err() {
            return;
        }
    }
}

/// The key and the body of the next request; `None` when the connection or the server ended.
fn request(reader: &mut BufReader<&TcpStream>, state: &State) -> Option<(Option<String>, Vec<u8>)> {
    let (mut length, mut key) = (0, None);
    loop {
        let mut line = String::new();
        loop {
            match reader.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => break,
                Err(_) if state.stopped.load(Ordering::SeqCst) => return None,
                Err(e)
                    if matches!(
                        e.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => return None,
            }
        }
        let line = line.trim_end();
        if line.is_empty() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            return Some((key, body));
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "authorization" => key = value.trim().strip_prefix("Bearer ").map(str::to_owned),
                _ => {}
            }
        }
    }
}

fn answer(key: Option<&str>, body: &[u8], state: &State) -> (&'static str, Value) {
    let expected = state.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if expected.is_some() && expected.as_deref() != key {
        return ("401 Unauthorized", json!({"error": {"message": "the key is wrong"}}));
    }
    if state.refuses.load(Ordering::SeqCst) {
        return ("400 Bad Request", json!({"error": {"message": "no valid key"}}));
    }
    let Ok(Request { model, input }) = serde_json::from_slice(body) else {
        return ("400 Bad Request", json!({"error": {"message": "model and input are needed"}}));
    };
    let dimensions = model.strip_prefix("hashing-").and_then(|n| n.parse::<usize>().ok());
    let Some(dimensions) = dimensions else {
        return ("404 Not Found", json!({"error": {"message": format!("no model {model}")}}));
    };
    let mut seen = state.texts.lock().unwrap_or_else(PoisonError::into_inner);
    seen.extend_from_slice(&input);
    // In no order: the index says which is which.
    let data = input.iter().enumerate().rev();
    let data: Vec<_> = data
        .map(|(index, text)| json!({"index": index, "embedding": embedding(text, dimensions)}))
        .collect();
    ("200 OK", json!({"object": "list", "model": model, "data": data}))
}

/// What the model makes of a text: as long as it has words.
pub fn embedding(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimensions];
    // So that no text is without direction.
    if let Some(first) = vector.first_mut() {
        *first = 0.01;
    }
    let words = text.to_lowercase();
    for word in words.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() >= MIN_WORD) {
        let same = ALIKE.iter().find(|group| group.contains(&word));
        let word = same.and_then(|group| group.first()).copied().unwrap_or(word);
        let hash = hash(word);
        let place = usize::try_from(hash >> 1).unwrap_or(0) % dimensions.max(1);
        if let Some(component) = vector.get_mut(place) {
            *component += if hash & 1 == 0 { 1.0 } else { -1.0 };
        }
    }
    vector
}

/// FNV-1a, its upper half folded in.
fn hash(word: &str) -> u64 {
    let all = word.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    (all ^ (all >> 32)) & 0xFFFF_FFFF
}
