//! What an embedding model made of episodes: which vectors are missing, storing them, and what is new.
//!
//! The change feed is the list of work: every save is on it, so what comes after the last change that
//! was looked at is all that can be missing. How far that is, for which model, is kept in `meta` and
//! written along with the vectors, so that whoever is killed loses at most what was under way.

use std::sync::Arc;

use memory_core::{EpisodeId, Result, Timestamp, WriteId};

use crate::batch::{Access, Batch, Statement, Value};
use crate::columns::Columns;
use crate::database::Database;
use crate::read;
use crate::store::TursoStore;
use crate::write::{blob, text};

/// Changes looked at in one statement: most need no vector, and a server does not like to be kept.
const WINDOW: i64 = 5000;

/// Vectors in one answer: 3,072 components each are 8 MB over HTTP.
const PAGE: i64 = 1000;

/// Forgotten episodes in one answer; more: everything is read anew.
const MAX_GONE: i64 = 1000;

/// How long, in seconds by the database's clock, whoever makes vectors is left alone. It is renewed
/// with every batch; after a crash somebody else goes on when it is over.
const LEASE_SECONDS: i64 = 20;

const DATABASE: &str =
    "SELECT value, (SELECT coalesce(max(seq), 0) FROM changes) FROM meta WHERE key = 'database'";

const GONE: &str = "\
SELECT id FROM changes WHERE seq > ?1 AND kind = 'episode' AND version IS NULL ORDER BY seq LIMIT +?2";

const ADDED: &str = "\
SELECT v.n, e.id, e.project, v.vector FROM vectors v CROSS JOIN episodes e ON e.rid = v.episode
WHERE v.n > ?1 AND v.model = ?2 ORDER BY v.n LIMIT +?3";

const PROGRESS: &str = "SELECT value FROM meta WHERE key = 'embeddings'";

const KEEP_PROGRESS: &str = "\
INSERT INTO meta (key, value) VALUES ('embeddings', ?1)
ON CONFLICT (key) DO UPDATE SET value = excluded.value";

const LAST_CHANGE: &str = "SELECT coalesce(max(seq), 0) FROM changes";

/// The last change of an episode alone, and what is finished: a running one changes with every step.
const DUE: &str = "\
SELECT c.seq, e.id, e.version FROM changes c CROSS JOIN episodes e ON e.id = c.id
WHERE c.seq > ?1 AND c.seq <= ?2 AND c.kind = 'episode' AND c.version = e.version
    AND e.outcome <> 'running' AND e.archived_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM vectors v
        WHERE v.episode = e.rid AND v.model = ?3 AND v.version = e.version)
ORDER BY c.seq LIMIT +?4";

/// An episode that changed meanwhile, or is gone, gets none.
const CLEAR: &str = "\
DELETE FROM vectors WHERE episode = (SELECT rid FROM episodes WHERE id = ?1 AND version = ?2)";

const PUT: &str = "\
INSERT INTO vectors (episode, model, version, vector)
SELECT rid, ?3, version, ?4 FROM episodes WHERE id = ?1 AND version = ?2";

/// Those of another model that nothing replaced: of archived episodes, for instance.
const CLEAR_OTHERS: &str = "DELETE FROM vectors WHERE model <> ?1";

/// A lease that ends later than one taken now is from before the clock was set back.
const TAKE_LEASE: &str = "\
INSERT INTO leases (name, holder, until) VALUES ('embeddings', ?1, unixepoch() + ?2)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE leases.until < unixepoch() OR leases.holder = excluded.holder
    OR leases.until > excluded.until";

const HAS_LEASE: &str =
    "SELECT EXISTS (SELECT 1 FROM leases WHERE name = 'embeddings' AND holder = ?1)";

const GIVE_LEASE: &str = "DELETE FROM leases WHERE name = 'embeddings' AND holder = ?1";

const COUNT: &str = "SELECT count(*) FROM vectors WHERE model = ?1";

/// The vectors of a database.
#[derive(Debug, Clone)]
pub struct Vectors {
    database: Arc<Database>,
}

/// A vector as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVector {
    /// Grows with every vector written.
    pub n: u64,
    /// Whose.
    pub episode: EpisodeId,
    /// Its project.
    pub project: String,
    /// See the table.
    pub vector: Vec<u8>,
}

/// What a process has read of the vectors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VectorPosition {
    database: [u8; 16],
    change: u64,
    n: u64,
}

/// What is new since a position.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VectorNews {
    /// Whatever was read before is of another database, or nobody can say what of it is gone.
    pub restarted: bool,
    /// Episodes that were forgotten; before what was added.
    pub gone: Vec<EpisodeId>,
    /// In the order in which they were written.
    pub added: Vec<StoredVector>,
    /// There is more to be read at once.
    pub more: bool,
    /// Where to go on.
    pub position: VectorPosition,
}

/// Episodes that need a vector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DueVectors {
    /// With the versions that they have.
    pub episodes: Vec<(EpisodeId, u64)>,
    /// How far the changes were looked at.
    pub up_to: u64,
    /// There are no more changes.
    pub is_end: bool,
}

/// A vector that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeVector {
    /// Of which episode ...
    pub episode: EpisodeId,
    /// ... at which version.
    pub version: u64,
    /// See the table.
    pub vector: Vec<u8>,
}

/// Names a process that makes vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorLease(WriteId);

impl Default for VectorLease {
    fn default() -> Self {
        VectorLease(WriteId::generate(Timestamp(0)))
    }
}

impl VectorLease {
    fn value(self) -> Value {
        blob(self.0.as_bytes())
    }

    fn take(self) -> Statement {
        Statement::new(TAKE_LEASE, vec![self.value(), Value::Integer(LEASE_SECONDS)])
    }
}

impl TursoStore {
    /// The vectors of its episodes.
    pub fn vectors(&self) -> Vectors {
        Vectors { database: self.database.clone() }
    }
}

impl Vectors {
    /// A page of what is new of a model's vectors: one round trip.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn news(&self, model: &str, since: &VectorPosition) -> Result<VectorNews> {
        let news = self.page(model, since).await?;
        let is_other = since.change > 0 && news.position.database != since.database;
        if !is_other && !news.restarted {
            return Ok(news);
        }
        let from_start = self.page(model, &VectorPosition::default()).await?;
        Ok(VectorNews { restarted: true, ..from_start })
    }

    async fn page(&self, model: &str, since: &VectorPosition) -> Result<VectorNews> {
        let results = self.database.run(read::read(news(model, since))).await?;
        let mut results = results.into_iter().map(|result| result.rows);
        let mut rows = || results.next().unwrap_or_default();
        let mut head = Columns::new(rows().into_iter().next().unwrap_or_default());
        let mut position =
            VectorPosition { database: head.id()?, change: head.unsigned()?, n: since.n };
        let gone = rows().into_iter().map(|row| Ok(EpisodeId::from_bytes(Columns::new(row).id()?)));
        let gone = gone.collect::<Result<Vec<_>>>()?;
        let mut added = Vec::new();
        for row in rows() {
            let mut row = Columns::new(row);
            let (n, episode) = (row.unsigned()?, EpisodeId::from_bytes(row.id()?));
            position.n = n;
            added.push(StoredVector { n, episode, project: row.text()?, vector: row.blob()? });
        }
        let (more, restarted) = (full(&added, PAGE), full(&gone, MAX_GONE));
        Ok(VectorNews { restarted, gone, added, more, position })
    }

    /// How far the changes were looked at for this model; 0: not at all.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn progress(&self, model: &str) -> Result<u64> {
        let ask = read::read(vec![Statement::new(PROGRESS, vec![])]);
        let rows = read::rows(self.database.run(ask).await?);
        let Some(row) = rows.into_iter().next() else { return Ok(0) };
        let value = Columns::new(row).blob()?;
        let value = String::from_utf8_lossy(&value);
        let up_to = value.split_once(' ').filter(|(_, of)| *of == model).map(|(up_to, _)| up_to);
        Ok(up_to.and_then(|up_to| up_to.parse().ok()).unwrap_or(0))
    }

    /// Finished episodes without a vector of this model, by the changes after `after`: at most `limit`,
    /// and none is no sign of the end.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn due(&self, model: &str, after: u64, limit: usize) -> Result<DueVectors> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let window_end = after.saturating_add(WINDOW);
        let statements =
            vec![Statement::new(LAST_CHANGE, vec![]), due(model, after, window_end, limit)];
        let mut results = self.database.run(read::read(statements)).await?;
        let rows = results.split_off(1).into_iter().flat_map(|result| result.rows);
        let last = Columns::first_of(results)?.integer()?;
        let (mut episodes, mut seen) = (Vec::new(), after);
        for row in rows {
            let mut row = Columns::new(row);
            seen = row.integer()?;
            episodes.push((EpisodeId::from_bytes(row.id()?), row.unsigned()?));
        }
        let is_full = episodes.len() >= limit;
        let up_to = if is_full { seen } else { window_end.min(last) };
        let is_end = !is_full && up_to >= last;
        Ok(DueVectors { episodes, up_to: u64::try_from(up_to).unwrap_or(0), is_end })
    }

    /// Stores vectors together with how far the changes were looked at, and renews the lease.
    ///
    /// # Errors
    ///
    /// Those of the database. Storing them again is harmless.
    pub async fn put(
        &self,
        model: &str,
        made: Vec<MadeVector>,
        up_to: u64,
        lease: VectorLease,
    ) -> Result<()> {
        let mut statements = vec![lease.take()];
        for MadeVector { episode, version, vector } in made {
            let version = Value::Integer(i64::try_from(version).unwrap_or(i64::MAX));
            let key = vec![blob(episode.as_bytes()), version];
            statements.push(Statement::new(CLEAR, key.clone()));
            let more = vec![text(model), Value::Blob(vector)];
            statements.push(Statement::new(PUT, [key, more].concat()));
        }
        let progress = Value::Blob(format!("{up_to} {model}").into_bytes());
        statements.push(Statement::new(KEEP_PROGRESS, vec![progress]));
        self.database.run(Batch { access: Access::Write, statements }).await.map(drop)
    }

    /// Lets nobody else make vectors for a while. False: somebody else does.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn take_lease(&self, lease: VectorLease) -> Result<bool> {
        let statements = vec![lease.take(), Statement::new(HAS_LEASE, vec![lease.value()])];
        let mut results = self.database.run(Batch { access: Access::Write, statements }).await?;
        Columns::first_of(results.split_off(1))?.boolean()
    }

    /// Gives the lease back, with nothing left to do: vectors of other models go.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn finish(&self, model: &str, lease: VectorLease) -> Result<()> {
        let statements = vec![
            Statement::new(CLEAR_OTHERS, vec![text(model)]),
            Statement::new(GIVE_LEASE, vec![lease.value()]),
        ];
        self.database.run(Batch { access: Access::Write, statements }).await.map(drop)
    }

    /// Gives the lease back with something left to do.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn give_lease(&self, lease: VectorLease) -> Result<()> {
        let statements = vec![Statement::new(GIVE_LEASE, vec![lease.value()])];
        self.database.run(Batch { access: Access::Write, statements }).await.map(drop)
    }

    /// How many there are of a model.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn count(&self, model: &str) -> Result<u64> {
        let ask = read::read(vec![Statement::new(COUNT, vec![text(model)])]);
        Columns::first_of(self.database.run(ask).await?)?.unsigned()
    }
}

fn news(model: &str, since: &VectorPosition) -> Vec<Statement> {
    // Of what was never read, nothing can be gone.
    let change = if since.change == 0 { u64::MAX } else { since.change };
    let integer = |n: u64| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    vec![
        Statement::new(DATABASE, vec![]),
        Statement::new(GONE, vec![integer(change), Value::Integer(MAX_GONE)]),
        Statement::new(ADDED, vec![integer(since.n), text(model), Value::Integer(PAGE)]),
    ]
}

fn due(model: &str, after: i64, window_end: i64, limit: usize) -> Statement {
    let limit = Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX));
    let bounds = [after, window_end].map(Value::Integer);
    Statement::new(DUE, [bounds.as_slice(), &[text(model), limit]].concat())
}

fn full<T>(rows: &[T], limit: i64) -> bool {
    i64::try_from(rows.len()).is_ok_and(|length| length >= limit)
}

/// What is asked again and again, for the guard of plans.
#[cfg(test)]
pub(crate) fn reads_of_a_process() -> Vec<Statement> {
    let since = VectorPosition { database: [0; 16], change: 5, n: 7 };
    let mut statements = news("m", &since);
    statements.push(due("m", 1, 9, 5));
    statements
}
