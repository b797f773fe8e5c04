//! Disks that fail and disks that are full: a clear error, nothing lost, and it goes on.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use memory_testkit::generate::Random;
use memory_testkit::rounds::{self, size};
use memory_testkit::shim::{Failure, Shim};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Era, Server};
use crate::kill::{binary, records};
use crate::lanes::is_gone;

/// The calls of two short lives; what is repeated does the same again.
fn script(n: u64) -> Vec<(&'static str, Value)> {
    let kept = format!("0198c0de-7a3b-7000-9000-{n:012x}");
    let gone = format!("0198c0de-7a3b-7000-9001-{n:012x}");
    let steps = json!([{"action": "step 1"}, {"action": "step 2"}]);
    vec![
        ("start_episode", json!({"episode_id": kept, "task": "Repair the login"})),
        ("log_steps", json!({"episode_id": kept, "steps": steps, "first_step": 1})),
        ("complete_episode", json!({"episode_id": kept, "outcome": "success"})),
        ("get_episode", json!({"episode_id": kept})),
        ("start_episode", json!({"episode_id": gone, "task": "Thrown away"})),
        ("forget_episode", json!({"episode_id": gone})),
        ("recall", json!({"task": "Repair the login"})),
    ]
}

/// What a disk may be said to have done. Anything else is no error that a caller can act on.
const CLEAR: [&str; 8] = [
    "check the disk and its free space",
    "repeat it with the same id, or read the episode",
    "restore it from a backup",
    "make the database file and its directory writable",
    "check that the directory exists and may be read and written",
    "free some disk space",
    "cannot read the settings file",
    "choose a data directory that you may write to",
];

fn assert_clear(said: &str, call: &str) {
    assert!(CLEAR.iter().any(|words| said.contains(words)), "{call}: {said}");
    assert!(!said.contains("panicked"), "{call}: {said}");
}

/// A sweep: the first storage call fails, then the second, up to the end of what a session does.
struct Sweep<'a> {
    shim: &'a Shim,
    data: TempDir,
    settings: &'a [&'a str],
    failure: Failure,
    errors: u64,
    refused_starts: u64,
}

impl Sweep<'_> {
    fn server(&self, n: u64) -> Server {
        let mut command = Server::command(self.data.path());
        command.args(self.settings).stderr(Stdio::piped());
        self.shim.fail(&mut command, self.data.path(), n, self.failure);
        Server::run(command, Era::Modern)
    }

    /// Runs the script with call `n` failing. Gives what failed; empty: there is no such call.
    fn session(&mut self, n: u64) -> Vec<String> {
        let mut server = self.server(n);
        let mut noted = Vec::new();
        for (tool, arguments) in script(n) {
            let mut repeated = false;
            loop {
                server.post_call(tool, arguments.clone());
                let Some(response) = server.receive_if_alive() else {
                    // It could not start, or not go on: it says why, and the next one can.
                    let said = server.end_of_a_failed_one();
                    noted.extend(self.shim.noted());
                    let call = format!("{noted:?}, {tool}");
                    assert!(!repeated && said.contains("error: "), "{call}: {said}");
                    assert_clear(&said, &call);
                    self.refused_starts += 1;
                    server = self.server(0);
                    repeated = true;
                    continue;
                };
                let answer = Answer::of(&response);
                if !answer.is_error {
                    break;
                }
                let call = format!("call {n}, {tool}");
                // A forgotten episode cannot be forgotten twice.
                if repeated && tool == "forget_episode" && is_gone(&answer.text) {
                    break;
                }
                assert!(!repeated, "{call} fails when repeated: {}", answer.text);
                assert_clear(&answer.text, &call);
                self.errors += 1;
                repeated = true;
            }
        }
        server.end();
        noted.extend(self.shim.noted());
        noted
    }

    /// Everything is there, once, and sound.
    fn check(&self, sessions: &[u64]) {
        let run = |arguments: &[&str]| {
            let output = binary(self.data.path(), arguments).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "after {sessions:?}: {arguments:?}: {said}");
            String::from_utf8(output.stdout).unwrap()
        };
        run(&["verify", "--json"]);
        let all = records(&run(&["export", "--kind", "episode"]));
        assert_eq!(all.len(), sessions.len(), "after {sessions:?}");
        for episode in &all {
            assert_eq!(episode["steps"].as_array().unwrap().len(), 2, "{episode}");
            assert_eq!(episode["outcome"]["kind"], "success", "{episode}");
        }
    }
}

/// Sessions between two looks at the database.
const LOOK_EVERY: usize = 50;

/// `fresh`: each session begins in an empty directory.
fn sweep(name: &str, settings: &[&str], failure: Failure, fresh: bool, stride: u64) {
    let Some(shim) = Shim::build() else { return };
    let new = || TempDir::new().unwrap();
    let mut sweep =
        Sweep { shim: &shim, data: new(), settings, failure, errors: 0, refused_starts: 0 };
    if !fresh {
        // So that there is a file, and a log to be read.
        assert!(sweep.session(0).is_empty());
    }
    let mut sessions = if fresh { vec![] } else { vec![0] };
    let mut n = 1 + rounds::random(name).bits() % stride;
    let mut failed = 0;
    loop {
        let noted = sweep.session(n);
        if noted.is_empty() {
            break;
        }
        failed += 1;
        sessions.push(n);
        if fresh || sessions.len() % LOOK_EVERY == 0 {
            sweep.check(&sessions);
        }
        if fresh {
            (sweep.data, sessions) = (new(), vec![]);
        }
        n += stride;
    }
    if !fresh {
        sessions.push(n);
        sweep.check(&sessions);
    }
    let Sweep { errors, refused_starts, .. } = sweep;
    println!(
        "{failed} of {n} storage calls failed, each once: {errors} calls and {refused_starts} \
         starts said so, all succeeded when repeated"
    );
    assert!(errors > 0 && refused_starts > 0);
}

#[test]
fn a_storage_call_that_fails_is_told_and_the_next_one_works() {
    let name = "a_storage_call_that_fails_is_told_and_the_next_one_works";
    let stride = size(4, 1) as u64;
    sweep(name, &[], Failure::Io, false, stride);
    sweep(name, &["--set", "cache.redb=on"], Failure::NoSpace, true, size(16, 1) as u64);
}

/// A small place to write to, that has more space later.
struct Small {
    data: PathBuf,
    directory: TempDir,
    mounted: bool,
}

impl Small {
    /// A file system of its own, where the user may mount one.
    fn mounted() -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("small");
        std::fs::create_dir(&data).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(&data);
        let done = mount.output().is_ok_and(|output| output.status.success());
        done.then_some(Small { data, directory, mounted: true })
    }

    /// A limit on the size of files, which the system enforces like a full disk.
    fn limited() -> Self {
        let directory = TempDir::new().unwrap();
        Small { data: directory.path().join("small"), directory, mounted: false }
    }

    fn serve(&self) -> Server {
        let command = Server::command(&self.data);
        if self.mounted {
            return Server::run(command, Era::Modern);
        }
        // SIGXFSZ would end the process before the engine sees the error. 8,000 blocks of 512 bytes.
        let mut limited = Command::new("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -S -f 8000; exec \"$0\" \"$@\""]);
        limited.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            limited.env(name, value.unwrap());
        }
        Server::run(limited, Era::Modern)
    }

    /// Now there is space.
    fn grow(&self, server: &Server) {
        let mut command = if self.mounted {
            let mut mount = Command::new("mount");
            mount.args(["-o", "remount,size=64m"]).arg(&self.data);
            mount
        } else {
            let mut limit = Command::new("prlimit");
            limit.args(["--fsize=unlimited", "--pid", &server.pid().to_string()]);
            limit
        };
        assert!(command.status().unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        if self.mounted {
            // What is left is in the way of nobody but the directory's removal.
            let _ = Command::new("umount").arg(&self.data).status();
        }
        let _ = &self.directory;
    }
}

/// Text that does not get smaller.
fn noise(random: &mut Random, bytes: usize) -> String {
    (0..bytes / 16).map(|_| format!("{:016x}", random.bits())).collect()
}

/// Fills the place, reads, makes room, and goes on: all in one process.
fn fill_and_go_on(small: &Small, mut random: Random) {
    let mut server = small.serve();
    let id = server.start("Fill the disk");
    let mut log = |server: &mut Server, first: u64| {
        let steps =
            json!([{"action": format!("step {first}"), "observation": noise(&mut random, 40_000)}]);
        let arguments = json!({"episode_id": id, "steps": steps, "first_step": first});
        server.call("log_steps", arguments)
    };
    let mut steps = 0;
    let mut errors = Vec::new();
    while errors.len() < 3 {
        assert!(steps < 1000, "the disk is never full");
        let answer = log(&mut server, steps + 1);
        if answer.is_error {
            assert_clear(&answer.text, "a full disk");
            errors.push(answer.text);
        } else {
            assert!(errors.is_empty(), "it was full before: {errors:?}");
            steps += 1;
        }
    }
    let shown = server.done("get_episode", json!({"episode_id": id, "step_count": 0}));
    assert_eq!(shown["total_steps"], steps, "reading goes on");
    assert!(!server.call("list_episodes", json!({})).is_error);
    small.grow(&server);
    for _ in 0..20 {
        let answer = log(&mut server, steps + 1);
        assert!(!answer.is_error, "there is space again: {}", answer.text);
        steps += 1;
    }
    server.close();
    let output = binary(&small.data, &["verify", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = binary(&small.data, &["export", "--kind", "episode"]).output().unwrap();
    let all = records(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(all[0]["steps"].as_array().unwrap().len() as u64, steps);
    println!("{steps} steps; when it was full: {}", errors[0]);
}

#[test]
fn a_full_disk_is_told_and_writing_resumes_without_a_restart() {
    let mut random = rounds::random("a_full_disk_is_told_and_writing_resumes_without_a_restart");
    fill_and_go_on(&Small::limited(), Random::new(random.bits()));
    match Small::mounted() {
        Some(small) => fill_and_go_on(&small, random),
        None => println!("no file system of its own: the user may not mount one"),
    }
}

/// Every file that a session makes is its owner's alone, whatever the mask of new files is.
#[test]
fn files_are_for_their_owner_alone_whatever_the_umask_is() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let mut masked = Command::new("sh");
    masked.args(["-c", "umask 022; exec \"$0\" \"$@\""]);
    let mut command = Server::command(&data);
    command.args(["--set", "cache.redb=on"]);
    masked.arg(command.get_program()).args(command.get_args());
    let mut server = Server::run(masked, Era::Modern);
    let id = server.start("Look at the files");
    server.done("get_episode", json!({"episode_id": id}));
    let seen = modes(&data);
    for (path, mode) in &seen {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode & 0o777, expected, "{}", path.display());
    }
    let names: Vec<_> = seen.iter().filter_map(|(path, _)| path.file_name()?.to_str()).collect();
    for name in ["data", "memory.db", "memory.db-wal", "memory.db-shm", "cache", "0.redb"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    server.close();
    let backup = data.join("one.backup");
    let mut command = binary(&data, &["backup", backup.to_str().unwrap()]);
    assert!(command.status().unwrap().success());
    let mode = std::fs::metadata(&backup).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a backup holds everything");
}

fn modes(path: &Path) -> Vec<(PathBuf, u32)> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    let mut found = vec![(path.to_owned(), mode)];
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            found.extend(modes(&entry.unwrap().path()));
        }
    }
    found
}

/// Nobody is connected to but the server of the settings.
#[test]
fn no_connection_is_made_but_to_the_configured_server() {
    let Some(shim) = Shim::build() else { return };
    let data = TempDir::new().unwrap();
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/runs.jsonl");
    let connections = |arguments: &[&str]| -> Vec<String> {
        let mut command = binary(data.path(), arguments);
        shim.load(&mut command);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        shim.noted()
    };
    let jobs: [&[&str]; 8] = [
        &["quickstart"],
        &["import", samples],
        &["recall", "Repair the login"],
        &["list"],
        &["stats"],
        &["verify"],
        &["export", "--kind", "episode"],
        &["migrate"],
    ];
    for job in jobs {
        assert_eq!(connections(job), [""; 0], "{job:?}");
    }
    let Some(database) = memory_testkit::sqld::Server::start(Default::default()) else { return };
    let url = database.url();
    for job in [&["import", samples][..], &["recall", "Repair the login"], &["stats"]] {
        let made = connections(&[job, &["--database", &url]].concat());
        let only = format!("connect {}", database.address());
        assert!(!made.is_empty() && made.iter().all(|line| *line == only), "{job:?}: {made:?}");
    }
}
