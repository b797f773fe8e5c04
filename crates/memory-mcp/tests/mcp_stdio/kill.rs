//! What is acknowledged outlives the process: on a file, on a server, and in the outbox.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use memory_core::EpisodeId;
use memory_core::record::Record;
use memory_testkit::generate::{self, Random};
use memory_testkit::rounds::Rounds;
use memory_testkit::sqld::{Options, Server as Database};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Era, Server};
use crate::lanes::{History, Lanes};

/// Calls that are in flight when it happens.
const IN_FLIGHT: usize = 32;

/// Answers after which it happens, at most.
const ANSWERS: usize = 300;

/// Kills of a round, after which the database is looked at.
const KILLS: u64 = 5;

/// A data directory, and the server whose database is used instead of a file.
struct World {
    data: TempDir,
    database: Option<Database>,
    /// What `writes.when_offline` says.
    when_offline: &'static str,
    history: History,
}

impl World {
    fn on_a_file() -> Self {
        let (data, history) = (TempDir::new().unwrap(), History::default());
        World { data, database: None, when_offline: "refuse", history }
    }

    fn on_a_server() -> Option<Self> {
        Some(World { database: Some(Database::start(Options::default())?), ..World::on_a_file() })
    }

    fn with_an_outbox() -> Option<Self> {
        Some(World { when_offline: "queue", ..World::on_a_server()? })
    }

    fn settings(&self, command: &mut Command) {
        command.args(["--set", &format!("writes.when_offline={}", self.when_offline)]);
        if let Some(database) = &self.database {
            command.args(["--database", &database.url()]);
        }
    }

    fn serve(&self) -> Server {
        let mut command = Server::command(self.data.path());
        self.settings(&mut command);
        Server::run(command, Era::Modern)
    }

    /// What a command that must succeed writes.
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = binary(self.data.path(), arguments);
        self.settings(&mut command);
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a server, keeps it busy for a moment, kills it, and notes what it acknowledged. The first
    /// `kill` of a directory comes while the server starts or makes its files.
    fn write_until_killed(&mut self, random: &mut Random, kill: u64) {
        let mut server = self.serve();
        let history = &mut self.history;
        let mut lanes = Lanes::begin(IN_FLIGHT, &mut server, random, history);
        if kill == 0 {
            std::thread::sleep(Duration::from_millis(random.below(60) as u64));
        } else {
            // Answers and not time, so that it is the same on a slow machine.
            for _ in 0..random.below(ANSWERS) {
                let response = server.receive();
                lanes.go_on(&response, &mut server, random, history);
            }
        }
        for response in server.kill() {
            lanes.learn(&response, history);
        }
        history.in_flight += lanes.waiting();
    }

    /// Delivers what waits, and compares everything with what was acknowledged. Gives how many episodes
    /// there are.
    fn look(&self) -> usize {
        if let Some(database) = &self.database {
            // Says so if something is left behind, or differs.
            let copy = self.data.path().join("copy.db");
            self.run(&["copy", "--from", &database.url(), "--to", copy.to_str().unwrap()]);
        }
        let waiting: Value =
            serde_json::from_str(&self.run(&["outbox", "list", "--json"])).unwrap();
        assert_eq!(waiting.as_array().unwrap().len(), 0, "{waiting}");
        let found = self.history.check(&records(&self.run(&["export"])));
        // Sound, or an exit code that says otherwise.
        self.run(&["verify", "--json"]);
        println!("{found:?} with {} calls in flight at the kills", self.history.in_flight);
        found.episodes
    }
}

pub(crate) fn binary(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_memory-mcp"));
    command.args(arguments).arg("--data-dir").arg(data).env("XDG_CONFIG_HOME", data);
    command.stdin(Stdio::null());
    command
}

pub(crate) fn records(export: &str) -> Vec<Value> {
    export.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Each round kills in a world of its own; `between` is what happens to it before a kill.
fn kill_again_and_again(
    rounds: Rounds,
    new: impl Fn() -> Option<World>,
    between: impl Fn(&mut World, u64),
) {
    let mut episodes = 0;
    for mut round in rounds {
        let Some(mut world) = new() else { return };
        for kill in 0..KILLS {
            between(&mut world, kill);
            world.write_until_killed(&mut round.random, kill);
        }
        if let Some(database) = &mut world.database {
            database.restart();
        }
        episodes += world.look();
    }
    println!("{episodes} episodes, nothing lost");
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let rounds = Rounds::new("what_was_acknowledged_survives_kill_9", 6, 40);
    kill_again_and_again(rounds, || Some(World::on_a_file()), |_, _| ());
}

#[test]
fn what_a_server_acknowledged_survives_kill_9_of_the_client() {
    let rounds = Rounds::new("what_a_server_acknowledged_survives_kill_9_of_the_client", 3, 15);
    kill_again_and_again(rounds, World::on_a_server, |_, _| ());
}

/// With the server there, so that deliveries are cut short; and without it, so that queueing is.
#[test]
fn what_the_outbox_acknowledged_survives_kill_9() {
    let rounds = Rounds::new("what_the_outbox_acknowledged_survives_kill_9", 3, 15);
    kill_again_and_again(rounds, World::with_an_outbox, |world, kill| {
        let database = world.database.as_mut().unwrap();
        // The second start makes the schema.
        if kill % 2 == 0 && kill > 0 { database.stop() } else { database.restart() }
    });
}

/// Cut off anywhere, an import has put in whole episodes, and run again it completes.
#[test]
fn an_import_cut_short_by_kill_9_is_completed_by_the_next() {
    let scene = TempDir::new().unwrap();
    let file = scene.path().join("runs.jsonl");
    let episodes = (0..700).map(|n| generate::episode(3, n, 500));
    let lines = episodes.map(|e| Record::Episode(Box::new(e)).to_line().unwrap() + "\n");
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    let import = ["import", file.to_str().unwrap()];

    let whole = World::on_a_file();
    let started = Instant::now();
    whole.run(&import);
    let took = started.elapsed();
    let expected = whole.run(&["export"]);
    let (mut cut, mut there) = (0, 0);
    for mut round in Rounds::new("an_import_cut_short_by_kill_9_is_completed_by_the_next", 8, 50) {
        let world = World::on_a_file();
        let mut command = binary(world.data.path(), &import);
        world.settings(&mut command);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(took * round.random.below(1000) as u32 / 1000);
        child.kill().unwrap();
        child.wait().unwrap();
        let before = world.run(&["export"]);
        let known: std::collections::HashSet<&str> = expected.lines().collect();
        // What is learned of several episodes grows with each.
        for line in before.lines().filter(|line| line.starts_with("{\"kind\":\"episode\"")) {
            assert!(known.contains(line), "half a record: {line}");
        }
        there += before.lines().count();
        cut += usize::from(before.len() < expected.len());
        world.run(&["verify", "--json"]);
        world.run(&import);
        assert!(world.run(&["export"]) == expected, "the import was not completed");
    }
    println!("{cut} imports cut short, {there} records there before the next");
    assert!(cut > 0, "no kill came before the end");
}

/// The files of a memory that nobody has open.
fn copied(from: &World) -> World {
    let world = World::on_a_file();
    for file in std::fs::read_dir(from.data.path()).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), world.data.path().join(file.file_name())).unwrap();
        }
    }
    world
}

/// Three hundred runs, and each of them once more a week later.
fn runs_and_their_repetitions() -> String {
    let week = 7 * 86_400 * 1_000_000;
    let runs = (0..300).flat_map(|n| {
        let first = generate::episode(4, n, 1000);
        let mut again = first.clone();
        again.id = EpisodeId::derive(&[b"again", first.id.as_bytes()]);
        again.started_at.0 += week;
        again.ended_at.iter_mut().for_each(|at| at.0 += week);
        [first, again]
    });
    runs.map(|e| Record::Episode(Box::new(e)).to_line().unwrap() + "\n").collect()
}

/// An export without the times at which something was archived, and the ids of what was.
fn consolidated(export: &str) -> (Vec<Value>, Vec<Value>) {
    let mut archived = Vec::new();
    let mut records = records(export);
    for record in &mut records {
        let fields = record.as_object_mut().unwrap();
        if fields.remove("archived_at").is_some_and(|at| !at.is_null()) {
            archived.push(fields["id"].clone());
        }
        if fields["kind"] == "relation" {
            fields.remove("at");
        }
    }
    (records, archived)
}

/// Cut off anywhere, a consolidation has archived whole episodes, each with the run that it repeats, and
/// run again it completes.
#[test]
fn a_consolidation_cut_short_by_kill_9_is_completed_by_the_next() {
    let scene = TempDir::new().unwrap();
    let file = scene.path().join("runs.jsonl");
    std::fs::write(&file, runs_and_their_repetitions()).unwrap();
    let before = World::on_a_file();
    before.run(&["import", file.to_str().unwrap()]);
    let (stored, none) = consolidated(&before.run(&["export"]));
    assert_eq!(none.len(), 0);
    let whole = copied(&before);
    let started = Instant::now();
    whole.run(&["consolidate"]);
    let took = started.elapsed();
    let (expected, all) = consolidated(&whole.run(&["export"]));
    assert_eq!(all.len(), 300);
    let name = "a_consolidation_cut_short_by_kill_9_is_completed_by_the_next";
    let (mut early, mut middle) = (0, 0);
    for mut round in Rounds::new(name, 8, 50) {
        let world = copied(&before);
        let mut command = binary(world.data.path(), &["consolidate"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(took * round.random.below(1000) as u32 / 1000);
        child.kill().unwrap();
        child.wait().unwrap();
        let (mut left, archived) = consolidated(&world.run(&["export"]));
        early += usize::from(archived.len() < all.len());
        middle += usize::from((1..all.len()).contains(&archived.len()));
        for id in &archived {
            assert!(all.contains(id), "{id} repeats nothing");
            let noted = |r: &Value| r["relation"] == "duplicates" && r["from"] == *id;
            assert!(left.iter().any(noted), "{id} is archived, and not said why");
        }
        left.retain(|record| record["kind"] != "relation");
        assert_eq!(left.len(), stored.len());
        for (now, then) in left.iter_mut().zip(&stored) {
            if archived.contains(&now["id"]) {
                now["version"] = then["version"].clone();
            }
            assert_eq!(now, then, "it was changed by more than the archiving");
        }
        world.run(&["verify", "--json"]);
        world.run(&["consolidate"]);
        assert!(consolidated(&world.run(&["export"])) == (expected.clone(), all.clone()));
    }
    println!("{early} consolidations cut short, {middle} of them between two pages");
    assert!(early > 0, "no kill came before the end");
}
