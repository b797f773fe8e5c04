//! Which episodes answer a query, in which order, and why.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::needed::Needed;
use super::notes::{is_note, worth};
use super::query::{Mode, RecallQuery};
use super::relevance::Match;
use super::similar::Nearest;

use crate::clock::Timestamp;
use crate::episode::{Episode, EpisodeId, OutcomeKind};
use crate::learning::lesson::RECALLED_WEIGHT;
use crate::learning::trace::action_text;
use crate::period::{Named, Period};
use crate::store::{Filter, SearchHit, SearchResult};

/// Order of relevance: mostly what the task covers, then what all fields cover, how much else the
/// task is about, and what the index thought. They sum to 1.
const IN_TASK: f64 = 0.4;
const WORDING: f64 = 0.3;
const IN_ALL: f64 = 0.1;
const FOCUS: f64 = 0.1;
const BM25: f64 = 0.1;

/// The same task comes before any similar one, whatever else speaks for that.
const SAME_TASK: f64 = 1.0;

/// What a good outcome adds: it decides between tasks that are nearly equally similar.
const QUALITY: f64 = 0.1;

/// What being from today adds; it halves every [`RECENCY_HALF_LIFE_DAYS`].
const RECENCY: f64 = 0.03;
const RECENCY_HALF_LIFE_DAYS: f64 = 90.0;

/// What unanimous feedback adds or takes.
const FEEDBACK: f64 = 0.1;

/// What being from the time that the query speaks of adds: a preference, no filter.
const AS_ASKED: f64 = 0.1;

/// A task this much less relevant than the best one is not worth its tokens ...
const RELATIVE_CUT_OFF: f64 = 0.6;

/// ... and the failures of one that is not this near say little about the query's.
const NEAR: f64 = 0.8;

/// Runs of one task that are returned, by side: both sides of the coin, no more than is telling.
const SAME_TASK_RUNS: (usize, usize) = (2, 2);
const NEAR_TASK_RUNS: (usize, usize) = (1, 1);
const SIMILAR_TASK_RUNS: (usize, usize) = (1, 0);

/// Archived episodes whose lessons come back.
const ARCHIVED: usize = 5;

/// Words of the query named in a reason.
const WORDS_IN_REASON: usize = 3;

/// What users said about a recalled episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedbackCounts {
    /// It helped.
    pub helped: u64,
    /// It did not.
    pub did_not_help: u64,
    /// It is wrong: never returned again.
    pub wrong: u64,
    /// Completed episodes that it was returned to and that said nothing about it.
    pub recalled: u64,
    /// Those of them that went well.
    pub recalled_well: u64,
}

/// What a search found, with all that is needed to rank it.
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    /// The answer to [`RecallQuery::search`].
    pub found: &'a SearchResult,
    /// The episodes of its hits, in any order.
    pub episodes: &'a [Arc<Episode>],
    /// What is near in meaning; those that words did not find are among the hits with a score of 0.
    pub nearest: &'a Nearest,
}

/// One episode of a ranking.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// The episode.
    pub episode: Arc<Episode>,
    /// What it was ordered by; comparable within one ranking only.
    pub score: f64,
    /// Its task is the query, word for word.
    pub same_task: bool,
    /// Why it was chosen, most important first.
    pub why: Vec<String>,
    /// Other runs of the same task with the same actions and outcome, left out.
    pub alike: Vec<EpisodeId>,
}

/// The answer to a query, before the token budget.
#[derive(Debug, Clone, Default)]
pub struct Ranking {
    /// Best first.
    pub results: Vec<Ranked>,
    /// All candidates by score alone, the best first: before the cut-off, and before runs of one task
    /// are put together.
    pub order: Vec<EpisodeId>,
    /// Archived episodes that would be among the results: only what they taught comes back.
    pub archived: Vec<Arc<Episode>>,
    /// Why there is nothing, when there is nothing.
    pub nothing_relevant: Option<String>,
    /// How candidates were found.
    pub mode: Mode,
    /// Embeddings are set up: why they were not used.
    pub degraded: Option<String>,
}

/// Ranks the candidates of a query.
///
/// Episodes of one task stand together, the most relevant task first:
///
/// ```text
/// relevance = 0.4 * share of the query's information in the task
///           + 0.3 * likeness of the wording + 0.1 * share in all fields, weighted
///           + 0.1 * focus + 0.1 * bm25 / best bm25 + 1 when the task is the query
/// score     = relevance + 0.1 * quality + 0.03 * 0.5 ^ (age / 90 days) ± 0.1 * feedback
///           + 0.1 when it is from the time that the query speaks of
/// ```
///
/// Where a query speaks of a time (`last week`, `before 2026-03`) and some candidate is from it, the
/// words that name it are not looked for in the episodes.
///
/// Within a task: success, partial by reward, failure, unjudged, abstained, abandoned, running;
/// what is from the time that is spoken of, then the higher reward, then the later run first.
pub fn rank(query: &RecallQuery, candidates: &Candidates<'_>, now: Timestamp) -> Ranking {
    let hits: HashMap<EpisodeId, &SearchHit> =
        candidates.found.hits.iter().map(|hit| (hit.id, hit)).collect();
    let with_running = query.filter.states.iter().any(|state| state == "running");
    let eligible: Vec<&Arc<Episode>> = candidates
        .episodes
        .iter()
        .filter(|episode| {
            let is_wrong = hits.get(&episode.id).is_some_and(|hit| hit.feedback.wrong > 0);
            !is_wrong && (with_running || !episode.is_running())
        })
        .collect();
    let spoken_of = Period::named_in(&query.task, now);
    let asked = spoken_of.as_ref().filter(|named| eligible.iter().any(|e| is_from(e, named)));
    let phrase = asked.map_or("", |named| named.phrase.as_str());
    let needed = Needed::new(&query.task, candidates.found, phrase);
    let best = hits.values().map(|hit| hit.score).fold(f64::MIN_POSITIVE, f64::max);
    let mut scored: Vec<Scored> = eligible
        .into_iter()
        .map(|episode| {
            let matched = Match::of(episode, &needed);
            let mut one = Scored::new(episode, matched, hits.get(&episode.id).copied(), best, now);
            one.as_asked = asked.filter(|named| is_from(episode, named)).map(|n| n.phrase.clone());
            one.score += if one.as_asked.is_some() { AS_ASKED } else { 0.0 };
            one
        })
        .collect();
    weigh_notes(query, &needed, &hits, &mut scored);
    weigh_meaning(candidates.nearest, &mut scored);
    // What is near a hit may be what the filter keeps out: then it is there to be leaned on alone.
    let is_filtered = query.filter != Filter::default();
    scored.retain(|s| !is_filtered || hits.contains_key(&s.episode.id));
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.episode.id.cmp(&b.episode.id)));
    let is_visible = |s: &&Scored| query.filter.include_archived || s.episode.archived_at.is_none();
    let order: Vec<EpisodeId> = scored.iter().filter(is_visible).map(|s| s.episode.id).collect();
    let then = match spoken_of {
        Some(_) => "; a listing with since and until shows all of a time",
        None => "",
    };
    if scored.is_empty() {
        return nothing(order, &format!("no episode shares a word with the query{then}"));
    }
    scored.retain(|s| s.matched.is_relevant);
    if scored.is_empty() {
        let reason = "no episode covers enough of what the query is about";
        return nothing(order, &format!("{reason}{then}"));
    }
    let archived = if query.filter.include_archived { Vec::new() } else { archived(&mut scored) };
    if scored.is_empty() {
        let reason =
            "what is relevant was archived (`show`, `list --archived`); what it taught stays";
        return Ranking { archived, ..nothing(order, reason) };
    }
    let mut results = select(groups(scored));
    results.truncate(query.limit);
    Ranking { results, order, archived, ..Ranking::default() }
}

/// Notes are ranked by what they say, with what stands around them, instead of by likeness of tasks.
fn weigh_notes(
    query: &RecallQuery,
    needed: &Needed,
    hits: &HashMap<EpisodeId, &SearchHit>,
    scored: &mut [Scored],
) {
    let notes: Vec<(&Arc<Episode>, &str)> = scored
        .iter()
        .filter(|s| is_note(&s.episode))
        .map(|s| (&s.episode, s.matched.analyzed.as_str()))
        .collect();
    let worth = worth(&query.task, needed, &notes, hits);
    let matches = scored.iter().filter(|s| is_note(&s.episode)).zip(&worth);
    let any = matches.into_iter().any(|(s, worth)| s.matched.is_relevant_note(*worth));
    for (scored, worth) in scored.iter_mut().filter(|s| is_note(&s.episode)).zip(worth) {
        let same_task = if scored.matched.same_task { SAME_TASK } else { 0.0 };
        scored.score += worth + same_task - scored.relevance;
        scored.relevance = worth + same_task;
        scored.matched.is_relevant = any;
    }
}

/// True for an episode that went on in the time that is spoken of.
fn is_from(episode: &Episode, named: &Named) -> bool {
    named.period.meets(episode.started_at, episode.ended_at.unwrap_or(episode.started_at))
}

/// Takes out the archived ones, and gives the best of them.
fn archived(scored: &mut Vec<Scored>) -> Vec<Arc<Episode>> {
    let is_archived = |s: &mut Scored| s.episode.archived_at.is_some();
    let mut archived: Vec<_> = scored.extract_if(.., is_archived).map(|s| s.episode).collect();
    archived.truncate(ARCHIVED);
    archived
}

/// What an episode means counts as much as its words do, where that is known.
fn weigh_meaning(nearest: &Nearest, scored: &mut [Scored]) {
    let near = nearest.by_id();
    for scored in scored {
        let Some(near) = near.get(&scored.episode.id) else { continue };
        let same_task = if scored.matched.same_task { SAME_TASK } else { 0.0 };
        let by_words = scored.relevance - same_task;
        let fused = near.fused(by_words);
        scored.score += fused - by_words;
        scored.relevance += fused - by_words;
        scored.matched.is_relevant |= near.is_near;
        scored.near = near.is_near.then_some(near.similarity);
    }
}

fn nothing(order: Vec<EpisodeId>, reason: &str) -> Ranking {
    Ranking { order, nothing_relevant: Some(reason.to_owned()), ..Ranking::default() }
}

struct Scored {
    episode: Arc<Episode>,
    matched: Match,
    relevance: f64,
    score: f64,
    /// The words of the query for the time that it is from.
    as_asked: Option<String>,
    alike: Vec<EpisodeId>,
    /// The similarity of what is near in meaning.
    near: Option<f64>,
}

impl Scored {
    fn new(
        episode: &Arc<Episode>,
        matched: Match,
        hit: Option<&SearchHit>,
        best: f64,
        now: Timestamp,
    ) -> Self {
        let bm25 = hit.map_or(0.0, |hit| hit.score / best);
        let relevance = IN_TASK * matched.task
            + WORDING * matched.wording
            + IN_ALL * matched.coverage
            + FOCUS * matched.focus
            + BM25 * bm25.clamp(0.0, 1.0)
            + if matched.same_task { SAME_TASK } else { 0.0 };
        let said = hit.map(|hit| hit.feedback).unwrap_or_default();
        let score = relevance
            + QUALITY * quality(episode)
            + RECENCY * recency(episode, now)
            + FEEDBACK * feedback(said);
        Scored {
            episode: episode.clone(),
            matched,
            relevance,
            score,
            as_asked: None,
            alike: Vec::new(),
            near: None,
        }
    }
}

/// Place among the runs of one task.
fn class(episode: &Episode) -> u8 {
    match episode.outcome.as_ref().map(|outcome| outcome.kind) {
        Some(OutcomeKind::Success) => 0,
        Some(OutcomeKind::Partial) => 1,
        Some(OutcomeKind::Failure) => 2,
        Some(OutcomeKind::Unjudged) => 3,
        Some(OutcomeKind::Abstained) => 4,
        Some(OutcomeKind::Abandoned) => 5,
        None => 6,
    }
}

fn reward(episode: &Episode) -> f64 {
    episode.reward.as_ref().map_or(0.0, |reward| reward.score)
}

/// 0 to 1: how much an outcome speaks for a run. A failure still warns.
fn quality(episode: &Episode) -> f64 {
    match episode.outcome.as_ref().map(|outcome| outcome.kind) {
        Some(OutcomeKind::Success) => 0.7 + 0.3 * reward(episode),
        Some(OutcomeKind::Partial) => 0.3 + 0.4 * reward(episode),
        Some(OutcomeKind::Failure | OutcomeKind::Unjudged) => 0.3,
        Some(OutcomeKind::Abstained) => 0.2,
        Some(OutcomeKind::Abandoned) => 0.1,
        None => 0.0,
    }
}

fn recency(episode: &Episode, now: Timestamp) -> f64 {
    let then = episode.ended_at.unwrap_or(episode.started_at);
    let days = (now.seconds_since(then) / 86_400.0).max(0.0);
    0.5f64.powf(days / RECENCY_HALF_LIFE_DAYS)
}

/// -1 to 1, towards 0 while few have spoken.
fn feedback(said: FeedbackCounts) -> f64 {
    let recalled = |n: u64| RECALLED_WEIGHT * n as f64;
    let helped = said.helped as f64 + recalled(said.recalled_well);
    let not = said.did_not_help as f64 + recalled(said.recalled.saturating_sub(said.recalled_well));
    (helped - not) / (helped + not + 1.0)
}

/// Runs of one task, best first.
struct Group {
    runs: Vec<Scored>,
    score: f64,
    relevance: f64,
}

fn groups(scored: Vec<Scored>) -> Vec<Group> {
    let mut by_task: HashMap<String, Vec<Scored>> = HashMap::new();
    for one in scored {
        by_task.entry(one.matched.analyzed.clone()).or_default().push(one);
    }
    let mut groups: Vec<Group> = by_task
        .into_values()
        .map(|mut runs| {
            runs.sort_by(|a, b| {
                let key =
                    |s: &Scored| (class(&s.episode), Reverse(s.episode.started_at), s.episode.id);
                class(&a.episode)
                    .cmp(&class(&b.episode))
                    .then(b.as_asked.is_some().cmp(&a.as_asked.is_some()))
                    .then(reward(&b.episode).total_cmp(&reward(&a.episode)))
                    .then(b.score.total_cmp(&a.score))
                    .then(key(a).cmp(&key(b)))
            });
            let score = runs.iter().map(|s| s.score).fold(f64::MIN, f64::max);
            let relevance = runs.iter().map(|s| s.relevance).fold(0.0, f64::max);
            Group { runs: collapse(runs), score, relevance }
        })
        .collect();
    groups.sort_by(|a, b| {
        let id = |g: &Group| g.runs.first().map(|s| s.episode.id);
        b.score.total_cmp(&a.score).then(id(a).cmp(&id(b)))
    });
    groups
}

/// Leaves out runs with the same outcome and the same actions as an earlier one.
fn collapse(runs: Vec<Scored>) -> Vec<Scored> {
    let mut kept: Vec<Scored> = Vec::new();
    let mut first: HashMap<(u8, Vec<String>), usize> = HashMap::new();
    for run in runs {
        let actions = run.episode.steps.iter().map(|step| normal(&action_text(step))).collect();
        let key = (class(&run.episode), actions);
        match first.get(&key).and_then(|&i| kept.get_mut(i)) {
            Some(same) => same.alike.push(run.episode.id),
            None => {
                first.insert(key, kept.len());
                kept.push(run);
            }
        }
    }
    kept
}

fn normal(action: &str) -> String {
    action.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Both sides of each task, the most relevant task first.
fn select(groups: Vec<Group>) -> Vec<Ranked> {
    let best = groups.first().map_or(0.0, |group| group.relevance.min(1.0));
    let mut results = Vec::new();
    for group in groups {
        if group.relevance < RELATIVE_CUT_OFF * best {
            continue;
        }
        let (mut successes, mut others) = if group.runs.iter().any(|run| run.matched.same_task) {
            SAME_TASK_RUNS
        } else if group.relevance >= NEAR * best || results.is_empty() {
            NEAR_TASK_RUNS
        } else {
            SIMILAR_TASK_RUNS
        };
        for run in group.runs {
            let room = if class(&run.episode) == 0 { &mut successes } else { &mut others };
            if *room > 0 {
                *room -= 1;
                results.push(ranked(run));
            }
        }
    }
    results
}

fn ranked(run: Scored) -> Ranked {
    let mut why = Vec::new();
    if run.matched.same_task {
        why.push("same task".to_owned());
    } else if let Some(similarity) = run.near.filter(|_| run.matched.words.is_empty()) {
        why.push(format!("close in meaning ({similarity:.2})"));
    } else {
        let words: Vec<&str> =
            run.matched.words.iter().take(WORDS_IN_REASON).map(String::as_str).collect();
        let percent = (100.0 * run.matched.coverage).round();
        why.push(format!("covers {percent}% ({})", words.join(", ")));
        if let Some(similarity) = run.near {
            why.push(format!("close in meaning ({similarity:.2})"));
        }
    }
    why.extend(run.as_asked.map(|phrase| format!("from the time asked for: {phrase}")));
    // That it went well is its outcome.
    let state = match class(&run.episode) {
        0 => None,
        1 => Some("partly solved"),
        2 => Some("failed: shows what does not work"),
        3 => Some("not judged"),
        4 => Some("declined: shows where it stopped"),
        5 => Some("abandoned"),
        _ => Some("still running"),
    };
    why.extend(state.map(str::to_owned));
    Ranked {
        score: run.score,
        same_task: run.matched.same_task,
        why,
        alike: run.alike,
        episode: run.episode,
    }
}
