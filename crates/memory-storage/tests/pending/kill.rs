//! Processes that end in the middle of everything.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use memory_core::EpisodeId;
use memory_core::store::EpisodeStore;
use memory_storage::WhenOffline;
use memory_storage_turso::pending::EntryState;
use memory_testkit::generate::Random;
use memory_testkit::rounds::Rounds;

use super::child::{self, STEPS};
use super::world::{World, actions, count, drained, scope, words};

/// What was acknowledged of one episode.
#[derive(Default)]
struct Acknowledged {
    steps: usize,
    done: bool,
}

/// Runs a child and kills it after a while.
fn run_and_kill(
    world: &World,
    random: &mut Random,
    acknowledged: &mut BTreeMap<EpisodeId, Acknowledged>,
) {
    let mut process = child::lives(&world.file(), &world.proxy.url()).spawn().unwrap();
    let output = process.stdout.take().unwrap();
    let pause = Duration::from_millis(300 + random.below(1500) as u64);
    let killer = std::thread::spawn(move || {
        std::thread::sleep(pause);
        process.kill().unwrap();
        process.wait().unwrap()
    });
    for line in BufReader::new(output).lines() {
        let line = line.unwrap();
        // A line cut short by the kill is no acknowledgement.
        let Some((id, what)) = line.strip_prefix("ack ").and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let Ok(id) = id.parse() else { continue };
        let episode = acknowledged.entry(id).or_default();
        episode.steps += usize::from(what == "step");
        episode.done |= what == "done";
    }
    killer.join().unwrap();
}

/// With the server there, so that deliveries are cut short; and without it, so that queueing is.
#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_the_kill_of_their_writer() {
    let Some(mut world) = World::new().await else { return };
    let mut acknowledged = BTreeMap::new();
    world.witness().ready().await.unwrap();
    let name = "acknowledged_writes_survive_the_kill_of_their_writer";
    let mut kills = 0;
    for mut round in Rounds::new(name, 12, 60) {
        kills += 1;
        match round.number % 4 {
            0 => world.server.restart(),
            2 => world.server.stop(),
            _ => {}
        }
        run_and_kill(&world, &mut round.random, &mut acknowledged);
    }
    let done = acknowledged.values().filter(|episode| episode.done).count();
    println!("{kills} kills, {} episodes acknowledged, {done} completed", acknowledged.len());
    assert!(done * 2 > kills, "the children hardly wrote");

    world.server.restart();
    let store = world.store(WhenOffline::Refuse).await;
    // A child that is gone may still hold the lease; delivering on request needs none.
    store.flush().await.unwrap();
    drained(&store).await;
    assert_eq!(count(&store, EntryState::Conflict).await, 0);
    let witness = world.witness();
    let ids: Vec<EpisodeId> = acknowledged.keys().copied().collect();
    let found = witness.get(&scope(), &ids).await.unwrap();
    for ((id, told), episode) in acknowledged.iter().zip(found) {
        let episode = episode.unwrap_or_else(|| panic!("acknowledged episode {id} is lost"));
        let held = episode.steps.len();
        assert!(held >= told.steps && held <= STEPS.min(told.steps + 1), "{held} steps of {id}");
        assert_eq!(actions(&episode), words(0..held), "each once and in order");
        assert!(!told.done || !episode.is_running(), "the completion of {id} is lost");
    }
}
