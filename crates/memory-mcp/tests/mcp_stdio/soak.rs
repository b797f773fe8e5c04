//! A memory at work: eight clients, a server that is restarted, a network that breaks, and in between
//! calm in which it is measured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use memory_testkit::generate::Random;
use memory_testkit::proxy::{Fault, FaultProxy};
use memory_testkit::rounds::{Rounds, is_long, size};
use memory_testkit::sqld::{Options, Server as Database};
use tempfile::TempDir;

use crate::client::{Era, Server};
use crate::kill::{binary, records};
use crate::lanes::{History, Lanes};

const CLIENTS: usize = 8;

/// How much worse the end may be than the beginning, in a long run. A short one has nothing to compare.
const FLAT: f64 = 1.2;

/// One client, with a server process of its own.
struct Client {
    server: Server,
    lanes: Lanes,
    history: History,
    random: Random,
}

impl Client {
    /// One call after the other until `end`, each repeated until it is acknowledged. Gives how long each
    /// took.
    fn work(&mut self, end: Instant) -> Vec<Duration> {
        let Client { server, lanes, history, random } = self;
        let mut took = Vec::new();
        let mut began = Instant::now();
        lanes.post(0, server, random, history);
        loop {
            let response = server.receive();
            let Some(lane) = lanes.learn_or_repeat(&response, server, history) else {
                // Whoever is told to repeat it in a moment waits for one.
                std::thread::sleep(Duration::from_millis(30));
                continue;
            };
            took.push(began.elapsed());
            if Instant::now() >= end {
                return took;
            }
            began = Instant::now();
            lanes.post(lane, server, random, history);
        }
    }
}

/// Everybody works for so long, with `meanwhile` on this thread. Gives how long all the calls took.
fn all_work(
    clients: &mut [Client],
    time: Duration,
    meanwhile: impl FnOnce(Instant),
) -> Vec<Duration> {
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        let working: Vec<_> =
            clients.iter_mut().map(|client| scope.spawn(move || client.work(end))).collect();
        meanwhile(end);
        working.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

/// How long the smallest request to the same server takes, on the same way.
fn probe(address: SocketAddr) -> std::io::Result<Duration> {
    let began = Instant::now();
    let body = r#"{"requests":[{"type":"execute","stmt":{"sql":"SELECT 1"}},{"type":"close"}]}"#;
    let length = body.len();
    let mut stream = TcpStream::connect(address)?;
    let head = "POST /v3/pipeline HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                content-type: application/json\r\n";
    write!(stream, "{head}content-length: {length}\r\n\r\n{body}")?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(began.elapsed())
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len() - 1);
    sorted[at].as_secs_f64() * 1e3
}

/// What was measured in the calm of a leg.
#[derive(Debug)]
struct Figures {
    /// Medians and 99th percentiles of calls, as multiples of the median probe.
    median: f64,
    tail: f64,
    /// Resident memory of all processes, in MiB.
    memory: f64,
    /// Bytes on this machine: cache files, what waits.
    local: u64,
}

fn resident(server: &Server) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn bytes_in(path: &Path) -> u64 {
    if path.is_file() {
        return std::fs::metadata(path).map_or(0, |file| file.len());
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| bytes_in(&entry.path())).sum()
}

/// Calm: work, and a probe every 20 ms beside it.
fn measured(clients: &mut [Client], time: Duration, address: SocketAddr, data: &Path) -> Figures {
    let mut probes = Vec::new();
    let mut took = all_work(clients, time, |end| {
        while Instant::now() < end {
            probes.push(probe(address).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    probes.sort();
    took.sort();
    let one = percentile(&probes, 50);
    Figures {
        median: percentile(&took, 50) / one,
        tail: percentile(&took, 99) / one,
        memory: clients.iter().map(|client| resident(&client.server)).sum(),
        local: bytes_in(data),
    }
}

/// Work while the network breaks in every way, and the server is killed and comes back.
fn broken(clients: &mut [Client], time: Duration, proxy: &FaultProxy, database: &mut Database) {
    let mut random = Random::new(clients[0].random.bits());
    all_work(clients, time, |end| {
        let kill_at = Instant::now() + time / 2;
        let mut killed = false;
        while Instant::now() < end {
            proxy.fault_next(Fault::ALL[random.below(Fault::ALL.len())], 1 + random.below(3));
            if !killed && Instant::now() > kill_at {
                killed = true;
                database.kill();
                std::thread::sleep(time / 20);
                database.restart();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        proxy.fault_all(None);
    });
}

/// Everything that was acknowledged is there, and nothing else.
fn check(clients: &[Client], data: &Path, url: &str) -> usize {
    let run = |arguments: &[&str]| {
        let mut command = binary(data, arguments);
        let output = command.args(["--database", url]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let copy = TempDir::new().unwrap();
    let copy = copy.path().join("copy.db");
    // Delivers what waits, and says so if something is left behind.
    run(&["copy", "--from", url, "--to", copy.to_str().unwrap()]);
    let histories = clients.iter().map(|client| client.history.clone());
    let history = histories.fold(History::default(), History::and);
    let found = history.check(&records(&run(&["export", "--kind", "episode"])));
    assert_eq!(found.surplus, 0, "nothing was in flight");
    run(&["verify", "--json"]);
    found.episodes
}

/// The mean over some legs.
fn mean(legs: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    legs.iter().map(of).sum::<f64>() / legs.len() as f64
}

#[test]
fn a_memory_at_work_stays_as_it_is() {
    let Some(mut database) = Database::start(Options::default()) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = runtime.block_on(FaultProxy::start(database.address()));
    let (data, url) = (TempDir::new().unwrap(), proxy.url());
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|n| {
            let mut command = Server::command(data.path());
            command.args(["--database", &url, "--set", "remote.deadline_ms=5000"]);
            command.args(["--set", "remote.request_timeout_ms=1000", "--log", "off"]);
            let mut random = Random::new(n as u64);
            let mut server = Server::run(command, Era::Modern);
            let mut history = History::default();
            // Its first call is answered before the first fault.
            let mut lanes = Lanes::begin(1, &mut server, &mut random, &mut history);
            lanes.learn(&server.receive(), &mut history);
            Client { server, lanes, history, random }
        })
        .collect();
    let leg = Duration::from_millis(size(8_000, 60_000) as u64);
    let mut legs: Vec<Figures> = Vec::new();
    for mut round in Rounds::together("a_memory_at_work_stays_as_it_is", 1, 30) {
        for client in &mut clients {
            client.random = Random::new(round.random.bits());
        }
        let figures = measured(&mut clients, leg / 3, address, data.path());
        broken(&mut clients, leg / 2, &proxy, &mut database);
        // Breakers close, connections are made.
        all_work(&mut clients, leg / 6, |_| ());
        let episodes = check(&clients, data.path(), &url);
        println!("leg {}: {episodes} episodes as acknowledged, {figures:?}", round.number);
        legs.push(figures);
    }
    clients.into_iter().for_each(|client| client.server.close());
    if !is_long() || legs.len() < 6 {
        return;
    }
    // The first leg fills caches.
    let (first, last) = (&legs[1..3], &legs[legs.len() - 2..]);
    let grown = |of: fn(&Figures) -> f64| mean(last, of) / mean(first, of);
    for (what, grown) in [
        ("median latency", grown(|f| f.median)),
        ("99th percentile", grown(|f| f.tail)),
        ("memory", grown(|f| f.memory)),
        ("files", grown(|f| f.local as f64)),
    ] {
        println!("{what}: {grown:.2} times what it was");
        assert!(grown <= FLAT, "{what} has grown to {grown:.2} times what it was");
    }
}
