//! The port: what a storage engine offers. Batch first; one operation, one round trip.

mod activity;

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::condition::Condition;
use crate::episode::{Episode, EpisodeId, LessonId, Step, WriteId};
use crate::error::Result;
use crate::learning::{Evidence, Lesson, LessonKind, ScoredLesson};
use crate::recall::{FeedbackCounts, Similar, SimilarQuery};
use crate::record::{Record, RecordKind};

pub use activity::{Activity, ActivityQuery, Period, TaskType};

/// Durable storage of episodes and of what was learned from them.
///
/// Every method is one operation and costs at most one round trip to the database. Results keep the
/// order of the input. Cancelling a read is free; a cancelled write may or may not be applied.
pub trait EpisodeStore: Send + Sync + 'static {
    /// Applies each write, durably, in order; each has its own result and a bad one fails alone.
    ///
    /// When this returns `Ok`, every `Ok` inside is committed. An outer
    /// [`Error::Unknown`](crate::Error::Unknown) means that the same writes may be sent again, with
    /// the same ids.
    fn write(
        &self,
        writes: Vec<Write>,
    ) -> impl Future<Output = Result<Vec<Result<Written>>>> + Send;

    /// Episodes by id, running ones with the steps logged so far. `None`: not in this scope.
    fn get(
        &self,
        scope: &Scope,
        ids: &[EpisodeId],
    ) -> impl Future<Output = Result<Vec<Option<Arc<Episode>>>>> + Send;

    /// One episode as the base of a compare-and-set write: it may be older than what
    /// [`get`](Self::get) gives, because the write itself finds that out.
    fn get_base(
        &self,
        scope: &Scope,
        id: EpisodeId,
    ) -> impl Future<Output = Result<Option<Arc<Episode>>>> + Send {
        async move { Ok(self.get(scope, &[id]).await?.into_iter().next().flatten()) }
    }

    /// A page of episodes, newest first.
    fn list(&self, query: &ListQuery) -> impl Future<Output = Result<Page>> + Send;

    /// Full-text search, best first.
    fn search(&self, query: &SearchQuery) -> impl Future<Output = Result<SearchResult>> + Send;

    /// Episodes that mean about the same as the query, where embeddings are set up. Never an error:
    /// that it does not work is an answer, and the search by words goes on.
    fn similar(&self, _query: &SimilarQuery) -> impl Future<Output = Similar> + Send {
        std::future::ready(Similar::Off)
    }

    /// What users said about episodes, in the order of the ids: what [`search`](Self::search) tells of
    /// its hits, for those that [`similar`](Self::similar) alone found.
    fn said(&self, ids: &[EpisodeId]) -> impl Future<Output = Result<Vec<FeedbackCounts>>> + Send;

    /// Patterns and heuristics with their statistics.
    fn lessons(
        &self,
        query: &LessonQuery,
    ) -> impl Future<Output = Result<Vec<ScoredLesson>>> + Send;

    /// Relations that an episode is an end of, in the order of their ends.
    fn relations(
        &self,
        scope: &Scope,
        id: EpisodeId,
    ) -> impl Future<Output = Result<Vec<Relation>>> + Send;

    /// Episodes by id as [`get`](Self::get) gives them, and lessons, in the same round trip: what a
    /// recall needs to rank and render what [`search`](Self::search) found.
    fn recollect(
        &self,
        ids: &[EpisodeId],
        lessons: &LessonQuery,
    ) -> impl Future<Output = Result<Recollection>> + Send;

    /// What changed after `since`; `None` asks for the present watermark alone.
    fn changes(&self, since: Option<&Watermark>) -> impl Future<Output = Result<Changes>> + Send;

    /// What changed after `since` as far as it came along with other operations since this was last
    /// asked: no round trip. `None`: nothing did; [`changes`](Self::changes) asks.
    fn carried(&self, _since: &Watermark) -> impl Future<Output = Result<Option<Carried>>> + Send {
        std::future::ready(Ok(None))
    }

    /// True while the database cannot be reached and reads are answered from what this machine has,
    /// which may be older than it should be: whoever shows such answers says so.
    fn stale_possible(&self) -> bool {
        false
    }

    /// A page of everything of one kind, ordered by id, for export and copy.
    fn scan(&self, query: &ScanQuery) -> impl Future<Output = Result<ScanPage>> + Send;

    /// Work that pays later and that nobody waits for, such as finding out how to store less. To be
    /// called now and then; costs nothing when nothing is due.
    fn maintain(&self) -> impl Future<Output = Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Counts for `stats`.
    fn counts(&self, scope: &Scope) -> impl Future<Output = Result<Counts>> + Send;

    /// How many episodes began when, and how they ended.
    fn activity(&self, query: &ActivityQuery) -> impl Future<Output = Result<Activity>> + Send;

    /// The task types there are, those with the most episodes first; a hundred at most.
    fn task_types(&self, scope: &Scope) -> impl Future<Output = Result<Vec<TaskType>>> + Send;
}

/// Which projects an operation may see.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One project, enforced in the database.
    Project(String),
    /// Every project; for operators (export, statistics), never for an agent.
    All,
}

impl Scope {
    /// True when something of `project` may be seen.
    pub fn contains(&self, project: &str) -> bool {
        match self {
            Scope::All => true,
            Scope::Project(own) => own == project,
        }
    }
}

/// One write. All of its effects (row, metadata, text index, evidence, change record) happen or none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Write {
    /// Inserts or replaces an episode, compare-and-set on the version it was based on.
    Save(Save),
    /// Adds steps to a running episode.
    AppendSteps(AppendSteps),
    /// Deletes an episode and all that points to it, leaving a tombstone.
    Forget(Forget),
    /// Says whether something recalled was of use; the last word per (subject, by) counts.
    Feedback(Feedback),
    /// Relates two episodes.
    Relate(Relation),
    /// Puts a lesson and evidence as exported; merges with what is there.
    PutLesson(LessonRecord),
    /// Puts a tombstone as exported.
    PutTombstone(Tombstone),
}

/// See [`Write::Save`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Save {
    /// What to store; `episode.version` becomes the stored version and must be above `base`.
    pub episode: Arc<Episode>,
    /// The version this write is based on; 0: the episode must not exist yet.
    pub base: u64,
    /// The same write id again is a replay.
    pub write_id: WriteId,
    /// Lessons this episode is evidence for. They replace what the episode was evidence for before.
    pub lessons: Vec<(Lesson, Evidence)>,
}

/// See [`Write::AppendSteps`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppendSteps {
    /// The running episode.
    pub id: EpisodeId,
    /// Its project must be in here.
    pub scope: Scope,
    /// In order; their numbers are given by the store.
    pub steps: Vec<Step>,
    /// The number the first of them must get, when the caller knows it: a gap or an overlap is a
    /// conflict. `None`: after the last.
    pub first: Option<u32>,
    /// The same write id again is a replay.
    pub write_id: WriteId,
    /// What recalls returned to the episode since its last write: remembered as feedback
    /// [`Recalled`](FeedbackVerdict::Recalled).
    #[serde(default)]
    pub recalled: Vec<LessonId>,
}

/// See [`Write::Forget`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forget {
    /// The episode.
    pub id: EpisodeId,
    /// Its project must be in here.
    pub scope: Scope,
    /// When it was forgotten.
    pub at: Timestamp,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The version now stored (for a tombstone: the version that was deleted).
    pub version: u64,
    /// Steps of the episode after the write; 0 where that does not apply.
    pub steps: u32,
    /// Where it is now.
    pub kept: Kept,
}

/// Where an accepted write is. What is not stored yet is on this machine alone, safe from a crash,
/// and goes to the database by itself; the version and the steps are those it will have there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// In the database.
    #[default]
    Stored,
    /// In the journal of steps: the database gets it within seconds.
    Journaled,
    /// In the outbox: the database gets it when it can be reached.
    Queued,
}

/// Someone's word on something that was recalled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// The lesson or episode it is about, as 16 bytes of its id.
    pub subject: LessonId,
    /// The episode that asked, or a fresh id when none did.
    pub by: EpisodeId,
    /// The scope.
    pub project: String,
    /// The word.
    pub verdict: FeedbackVerdict,
    /// When.
    pub at: Timestamp,
}

/// Whether something recalled was of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackVerdict {
    /// It helped.
    Helped,
    /// It did not.
    DidNotHelp,
    /// It is wrong: recall stops returning it.
    Wrong,
    /// Nobody said anything, but a recall returned it to the episode: how that one ends says the rest.
    /// Never replaces one of the others.
    Recalled,
}

/// How one episode relates to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The scope; both episodes are in it.
    pub project: String,
    /// This episode ...
    pub from: EpisodeId,
    /// ... stands in this relation ...
    pub relation: RelationKind,
    /// ... to this one.
    pub to: EpisodeId,
    /// Since when.
    pub at: Timestamp,
}

/// The relations between episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// `to` is the larger task that `from` is a part of.
    Parent,
    /// `from` cannot begin before `to` is done.
    DependsOn,
    /// `from` came after `to`, in the same work.
    Follows,
    /// They have to do with each other.
    Related,
    /// `to` cannot begin before `from` is done.
    Blocks,
    /// `from` is the same as `to`.
    Duplicates,
    /// `from` mentions `to`.
    References,
}

impl RelationKind {
    /// Every relation, in the order of the documentation.
    pub const ALL: [RelationKind; 7] = [
        RelationKind::Parent,
        RelationKind::DependsOn,
        RelationKind::Follows,
        RelationKind::Related,
        RelationKind::Blocks,
        RelationKind::Duplicates,
        RelationKind::References,
    ];

    /// The name used in JSON, in columns and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            RelationKind::Parent => "parent",
            RelationKind::DependsOn => "depends_on",
            RelationKind::Follows => "follows",
            RelationKind::Related => "related",
            RelationKind::Blocks => "blocks",
            RelationKind::Duplicates => "duplicates",
            RelationKind::References => "references",
        }
    }
}

/// What stays of a forgotten episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The episode.
    pub id: EpisodeId,
    /// Its project.
    pub project: String,
    /// The last version it had.
    pub version: u64,
    /// When it was forgotten.
    pub at: Timestamp,
}

/// A lesson with all its evidence, as exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LessonRecord {
    /// What it says.
    #[serde(flatten)]
    pub lesson: Lesson,
    /// Ordered by episode id.
    pub evidence: Vec<Evidence>,
}

/// Which episodes a listing or search may return. Empty fields do not restrict.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Exact task type.
    pub task_type: Option<String>,
    /// Exact domain.
    pub domain: Option<String>,
    /// Exact language.
    pub language: Option<String>,
    /// Any of these states: `running` or an outcome's name.
    pub states: Vec<String>,
    /// At least this reward.
    pub min_reward: Option<f64>,
    /// Started at or after.
    pub since: Option<Timestamp>,
    /// Started before.
    pub until: Option<Timestamp>,
    /// Metadata that it must have.
    pub metadata: Option<Condition>,
    /// Archived ones too.
    pub include_archived: bool,
}

/// See [`EpisodeStore::list`].
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    /// Whose.
    pub scope: Scope,
    /// Which.
    pub filter: Filter,
    /// The cursor of the page before, as returned; opaque.
    pub after: Option<String>,
    /// How many, at most.
    pub limit: usize,
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct Page {
    /// Newest first; running ones with the steps logged so far.
    pub episodes: Vec<Arc<Episode>>,
    /// Cursor of the next page; `None` when this was the last.
    pub next: Option<String>,
}

/// See [`EpisodeStore::search`].
#[derive(Debug, Clone, PartialEq)]
pub struct SearchQuery {
    /// Whose.
    pub scope: Scope,
    /// Index terms as [`recall::text`](crate::recall::text) makes them; any of them matches.
    pub terms: Vec<String>,
    /// Terms that stand for those, to find more with. They take no place from what the terms find.
    pub synonyms: Vec<String>,
    /// Which.
    pub filter: Filter,
    /// How many, at most.
    pub limit: usize,
}

/// Hits that a search for synonyms may add.
pub const BY_SYNONYMS: usize = 48;

/// What a search found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchResult {
    /// Best first.
    pub hits: Vec<SearchHit>,
    /// The best with synonyms counted like the terms, best first, at most [`BY_SYNONYMS`]; some may be
    /// among `hits`. Their scores are not comparable with those.
    pub by_synonyms: Vec<SearchHit>,
    /// About how many episodes there are, in all projects.
    pub documents: u64,
    /// For each term of the query: in how many episodes it occurs, in all projects.
    pub document_frequency: Vec<u64>,
}

impl SearchResult {
    /// Puts what synonyms found behind the other hits, with scores as if the best of both were equal.
    pub fn join_synonyms(&mut self) {
        let known: HashSet<EpisodeId> = self.hits.iter().map(|hit| hit.id).collect();
        let best = |hits: &[SearchHit]| hits.iter().map(|hit| hit.score).fold(0.0, f64::max);
        let (own, theirs) = (best(&self.hits), best(&self.by_synonyms));
        let scale = if theirs > 0.0 { own / theirs } else { 0.0 };
        let more = self.by_synonyms.drain(..).filter(|hit| !known.contains(&hit.id));
        self.hits.extend(more.map(|hit| SearchHit { score: hit.score * scale, ..hit }));
    }
}

/// One found episode.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    /// The episode.
    pub id: EpisodeId,
    /// Its BM25 score with field weights; higher is better.
    pub score: f64,
    /// What users said about the episode.
    pub feedback: FeedbackCounts,
    /// Bytes of its text.
    pub bytes: u64,
    /// Of a short episode: those of its project that began just before and just after it, within
    /// [`NEARBY_GAP_US`], the nearest first.
    pub nearby: Vec<EpisodeId>,
}

/// Bytes of text up to which an episode is a note or a turn of a conversation, whose meaning hangs on
/// what stands around it.
pub const SHORT_BYTES: u64 = 4096;

/// Microseconds up to which episodes that follow one another belong together: an hour.
pub const NEARBY_GAP_US: i64 = 3_600_000_000;

/// Episodes before it, and as many after it, that a hit names as near.
pub const NEARBY_EACH_WAY: u32 = 2;

/// See [`EpisodeStore::lessons`]. Lessons that are about any of `episodes`, or of the task type.
#[derive(Debug, Clone, PartialEq)]
pub struct LessonQuery {
    /// Whose.
    pub scope: Scope,
    /// Lessons that one of these episodes is evidence for. Empty: any.
    pub episodes: Vec<EpisodeId>,
    /// Only these kinds. Empty: any.
    pub kinds: Vec<LessonKind>,
    /// How many, at most; those with the most evidence first.
    pub limit: usize,
}

/// See [`EpisodeStore::recollect`].
#[derive(Debug, Clone, Default)]
pub struct Recollection {
    /// In the order of the ids; `None`: not in this scope.
    pub episodes: Vec<Option<Arc<Episode>>>,
    /// Those with the most evidence first.
    pub lessons: Vec<ScoredLesson>,
}

/// A position in the change feed of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The database's id, made when it was created.
    pub database: [u8; 16],
    /// The last change seen; 0 before the first.
    pub seq: u64,
    /// The write that made it; tells a restored database from the one seen before.
    pub write_id: Option<WriteId>,
}

/// See [`EpisodeStore::changes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// In order; empty when no episode changed or when `jumped`. Lessons, feedback and relations move
    /// the watermark without an entry.
    pub entries: Vec<Change>,
    /// Where the feed stands now.
    pub watermark: Watermark,
    /// The feed cannot tell what changed (too much, another database, a restored one): whatever is
    /// cached is unconfirmed.
    pub jumped: bool,
}

/// See [`EpisodeStore::carried`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// What changed.
    pub changes: Changes,
    /// The feed was read after this moment.
    pub at: Instant,
}

/// One entry of the change feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Position.
    pub seq: u64,
    /// The episode.
    pub id: EpisodeId,
    /// Its version after the change; `None` when it was forgotten, or when only a read can tell,
    /// because writes wait for it that the database does not have yet.
    pub version: Option<u64>,
}

/// See [`EpisodeStore::scan`].
#[derive(Debug, Clone, PartialEq)]
pub struct ScanQuery {
    /// Whose.
    pub scope: Scope,
    /// What.
    pub kind: RecordKind,
    /// The cursor of the page before, as returned; opaque.
    pub after: Option<String>,
    /// How many, at most.
    pub limit: usize,
}

/// A page of a scan.
#[derive(Debug, Clone)]
pub struct ScanPage {
    /// Ordered by id.
    pub records: Vec<Record>,
    /// Cursor of the next page; `None` when this was the last.
    pub next: Option<String>,
}

/// How much there is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Episodes by state (`running`, `success`, ...), states without any left out.
    pub episodes: std::collections::BTreeMap<String, u64>,
    /// Patterns.
    pub patterns: u64,
    /// Heuristics.
    pub heuristics: u64,
    /// Words of feedback.
    pub feedback: u64,
    /// Relations.
    pub relations: u64,
    /// Forgotten episodes.
    pub tombstones: u64,
}
