//! What the operations of a store take, one at a time.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use memory_core::recall::RecallQuery;
use memory_core::store::{EpisodeStore, Filter, ListQuery, Scope};
use memory_core::{Condition, EpisodeId, Memory, SystemClock};
use memory_storage_turso::{TursoConfig, TursoStore};
use memory_testkit::generate::Random;
use serde::{Deserialize, Serialize};

use super::load::{REPOSITORIES, episode};
use crate::figure::percentile;

const GETS: usize = 2000;
const QUERIES: usize = 100;
const RECALLS: usize = 20;
const COMPLETE_RECALLS: usize = 3;
const STARTS: usize = 9;
pub(super) const PAGE: usize = 20;
const FAR_PAGE: u64 = 10_000;

/// The project of generated episodes.
pub(super) fn project() -> Scope {
    Scope::Project("default".into())
}

pub(super) fn below(random: &mut Random, episodes: u64) -> u64 {
    random.bits() % episodes.max(1)
}

/// Milliseconds from opening the file to the first episode.
pub(super) async fn start(path: &Path) -> Result<f64> {
    let mut seconds = Vec::new();
    for n in 0..STARTS {
        let id = episode(n as u64).id;
        let began = Instant::now();
        let store = TursoStore::open(TursoConfig::at(path)).await?;
        black_box(store.get(&Scope::All, &[id]).await?);
        seconds.push(began.elapsed().as_secs_f64());
        store.close().await;
    }
    Ok(percentile(&mut seconds, 0.5) * 1e3)
}

/// Microseconds of a get of a random episode.
pub(super) async fn get(store: &TursoStore, episodes: u64) -> Result<f64> {
    let mut random = Random::new(1);
    let ids: Vec<EpisodeId> = (0..GETS).map(|_| episode(below(&mut random, episodes)).id).collect();
    let mut seconds = Vec::new();
    for id in &ids {
        let began = Instant::now();
        let found = store.get(&project(), std::slice::from_ref(id)).await?;
        black_box(found.first().and_then(Option::as_ref).context("an episode is missing")?);
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok(percentile(&mut seconds, 0.5) * 1e6)
}

/// A question with a name, how many answers are wanted, and how it is put with a random number.
type Question = (&'static str, usize, fn(u64, u64) -> String);

/// Microseconds of the first page of each. All sizes give as many answers, so that it is not the number
/// of answers that grows.
pub(super) async fn queries(store: &TursoStore, episodes: u64) -> Result<Vec<(String, f64)>> {
    let questions: [Question; 6] = [
        ("ticket = n (one match)", PAGE, |n, _| format!("ticket = {n}")),
        ("repo = \"x\" (one in 1,000), 5 of them", 5, |n, _| {
            format!("repo = \"repo-{}\"", n % REPOSITORIES)
        }),
        ("attempts > 4 (one in 5)", PAGE, |_, _| "attempts > 4".into()),
        ("ticket >= n AND ticket < n + 50", PAGE, |n, all| {
            let n = n.min(all.saturating_sub(50));
            format!("ticket >= {n} AND ticket < {}", n + 50)
        }),
        ("repo STARTS WITH \"repo-99\" AND share > 0.5", PAGE, |_, _| {
            "repo STARTS WITH \"repo-99\" AND share > 0.5".into()
        }),
        ("repo = \"x\" OR repo = \"y\", 10 of them", 10, |n, _| {
            let (x, y) = (n % REPOSITORIES, (n + 1) % REPOSITORIES);
            format!("repo = \"repo-{x}\" OR repo = \"repo-{y}\"")
        }),
    ];
    let mut figures = Vec::new();
    for (name, limit, question) in questions {
        let mut random = Random::new(2);
        let mut seconds = Vec::new();
        for _ in 0..QUERIES {
            let text = question(below(&mut random, episodes), episodes);
            let filter = Filter { metadata: Some(text.parse()?), ..Filter::default() };
            seconds.push(list(store, filter, None, limit).await?);
        }
        figures.push((name.to_owned(), percentile(&mut seconds, 0.5) * 1e6));
    }
    Ok(figures)
}

/// Seconds of a page.
pub(super) async fn list(
    store: &TursoStore,
    filter: Filter,
    after: Option<String>,
    limit: usize,
) -> Result<f64> {
    let query = ListQuery { scope: project(), filter, after, limit };
    let began = Instant::now();
    black_box(store.list(&query).await?);
    Ok(began.elapsed().as_secs_f64())
}

/// The condition that finds one episode.
pub(super) fn of_ticket(n: u64) -> Filter {
    let n = i64::try_from(n).unwrap_or(0);
    Filter { metadata: Some(Condition::equals("ticket", n)), ..Filter::default() }
}

/// Microseconds of the first page, and of page 10,000 or the last but one.
pub(super) async fn pages(store: &TursoStore, episodes: u64) -> Result<(f64, f64)> {
    let before = (FAR_PAGE.min(episodes / PAGE as u64).saturating_sub(2)) * PAGE as u64;
    let (mut seen, mut after) = (0, None);
    while seen < before {
        let limit = usize::try_from(before - seen)?.min(500);
        let query = ListQuery { scope: project(), filter: Filter::default(), after, limit };
        let page = store.list(&query).await?;
        seen += page.episodes.len() as u64;
        after = page.next;
    }
    let mut seconds = [Vec::new(), Vec::new()];
    for _ in 0..QUERIES {
        for (seconds, after) in seconds.iter_mut().zip([None, after.clone()]) {
            seconds.push(list(store, Filter::default(), after, PAGE).await?);
        }
    }
    let [mut first, mut far] = seconds;
    Ok((percentile(&mut first, 0.5) * 1e6, percentile(&mut far, 0.5) * 1e6))
}

/// Recalls, in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recalls {
    /// The median with the words of a random episode's task, its number among them.
    pub(super) task: f64,
    /// The 95th percentile of the same.
    pub(super) task_p95: f64,
    /// The median without the number: words that at least one episode in fifteen has.
    pub(super) common: f64,
    /// The same with every match weighed.
    pub(super) complete: f64,
    /// Megabytes of this process in memory before that.
    pub(super) resident_mb: f64,
}

/// Measures recalls of tasks with and without their number, and the latter on a store that weighs
/// every match.
pub(super) async fn recall(store: TursoStore, path: &Path, episodes: u64) -> Result<Recalls> {
    let memory = Memory::new(store, Arc::new(SystemClock));
    let mut tasks = timed(&memory, episodes, RECALLS, |task| task).await?;
    let words = |task: String| task.split(" (").next().unwrap_or_default().to_owned();
    let mut common = timed(&memory, episodes, RECALLS, words).await?;
    memory.store().close().await;
    let resident_mb = resident_mb()?;
    let every = TursoConfig { weighed_matches: i32::MAX as usize, ..TursoConfig::at(path) };
    let memory = Memory::new(TursoStore::open(every).await?, Arc::new(SystemClock));
    let mut complete = timed(&memory, episodes, COMPLETE_RECALLS, words).await?;
    memory.store().close().await;
    Ok(Recalls {
        task: percentile(&mut tasks, 0.5) * 1e3,
        task_p95: percentile(&mut tasks, 0.95) * 1e3,
        common: percentile(&mut common, 0.5) * 1e3,
        complete: percentile(&mut complete, 0.5) * 1e3,
        resident_mb,
    })
}

async fn timed(
    memory: &Memory<TursoStore>,
    episodes: u64,
    recalls: usize,
    question: impl Fn(String) -> String,
) -> Result<Vec<f64>> {
    let mut random = Random::new(3);
    let mut seconds = Vec::new();
    for _ in 0..recalls {
        let task = episode(below(&mut random, episodes)).task_description;
        let query = RecallQuery::new(question(task), project());
        let began = Instant::now();
        let recalled = memory.recall(&query).await?;
        seconds.push(began.elapsed().as_secs_f64());
        recalled.items.first().context("a recorded task was not recalled")?;
    }
    Ok(seconds)
}

/// Megabytes of this process in memory.
fn resident_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib = line.split_whitespace().nth(1).context("no value")?.parse::<f64>()?;
    Ok(kib * 1024.0 / 1e6)
}
