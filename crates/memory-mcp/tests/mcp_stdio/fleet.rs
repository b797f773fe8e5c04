//! Eight processes on one directory, two of them killed.

use memory_testkit::generate::Random;
use memory_testkit::rounds::Rounds;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Era, Server};
use crate::kill::{binary, records};
use crate::lanes::{History, Lanes};

const PROCESSES: usize = 8;

/// How many of them are killed.
const KILLED: usize = 2;

/// Calls that each has in flight.
const IN_FLIGHT: usize = 4;

/// Writes one process's share, up to so many answers; then it is killed, or ends what it began.
fn work(mut server: Server, answers: usize, killed: bool, random: &mut Random) -> History {
    let mut history = History::default();
    let mut lanes = Lanes::begin(IN_FLIGHT, &mut server, random, &mut history);
    for _ in 0..answers {
        let response = server.receive();
        lanes.go_on(&response, &mut server, random, &mut history);
    }
    if killed {
        for response in server.kill() {
            lanes.learn(&response, &mut history);
        }
    } else {
        // Whoever is not answered by its deadline fails the test here.
        while lanes.waiting() > 0 {
            lanes.learn(&server.receive(), &mut history);
        }
        server.close();
    }
    history.in_flight = lanes.waiting();
    history
}

/// What was acknowledged is there, no survivor was refused anything, nobody waited for ever.
#[test]
fn processes_on_one_directory_outlive_the_kill_of_others() {
    let name = "processes_on_one_directory_outlive_the_kill_of_others";
    for mut round in Rounds::new(name, 4, 100) {
        let data = TempDir::new().unwrap();
        let servers: Vec<Server> = (0..PROCESSES)
            .map(|_| Server::run(Server::command(data.path()), Era::Modern))
            .collect();
        let shares: Vec<(Server, usize, Random)> = servers
            .into_iter()
            .map(|server| {
                let answers = round.random.below(60);
                (server, answers, Random::new(round.random.bits()))
            })
            .collect();
        let histories: Vec<History> = std::thread::scope(|scope| {
            let working: Vec<_> = shares
                .into_iter()
                .enumerate()
                .map(|(n, (server, answers, mut random))| {
                    scope.spawn(move || work(server, answers, n < KILLED, &mut random))
                })
                .collect();
            working.into_iter().map(|share| share.join().unwrap()).collect()
        });
        let history = histories.into_iter().fold(History::default(), History::and);
        let run = |arguments: &[&str]| {
            let output = binary(data.path(), arguments).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{arguments:?}: {errors}");
            String::from_utf8(output.stdout).unwrap()
        };
        let exported: Vec<Value> = records(&run(&["export"]));
        let found = history.check(&exported);
        run(&["verify", "--json"]);
        println!("round {}: {found:?}", round.number);
    }
}
