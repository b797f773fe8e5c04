//! Payloads written anew: to the present settings, or off dictionaries that are withdrawn.
//!
//! Not a new version of anything: the content is the same. So it is compare-and-set on the version
//! that was read, without a change record, and whatever was changed meanwhile is left alone.

use memory_core::envelope::{Compression, damaged};
use memory_core::{EpisodeId, Result};

use crate::batch::{Access, Batch, Statement, Value};
use crate::columns::Columns;
use crate::payload::{Encoded, Known};
use crate::read::{self, MAX_PAGE_BYTES};
use crate::store::TursoStore;
use crate::write::text;

/// Episodes of one batch: a short transaction, next to other writers.
const BATCH: i64 = 128;

macro_rules! page {
    ($restriction:literal) => {
        concat!(
            "WITH candidates AS MATERIALIZED (SELECT e.rid, e.text_bytes FROM episodes e \
             WHERE e.rid > ?1 ",
            $restriction,
            " ORDER BY e.rid LIMIT +?2), \
             page AS MATERIALIZED (SELECT rid FROM (SELECT rid, \
             sum(text_bytes) OVER (ORDER BY rid) - text_bytes AS before FROM candidates) \
             WHERE before <= ?3) \
             SELECT e.rid, e.version, e.id, e.payload, e.project \
             FROM page CROSS JOIN episodes e ON e.rid = page.rid ORDER BY e.rid"
        )
    };
}

const PAGE: &str = page!("");

const RETIRED_PAGE: &str = page!(
    "AND +e.project = ?4 AND substr(e.payload, 5, 4) IN \
     (SELECT d.id FROM dictionaries d WHERE d.project = ?4 AND d.retired = 1)"
);

const REWRITE: &str = "\
UPDATE episodes SET payload = ?3 WHERE rid = ?1 AND version = ?2
    AND (?4 IS NULL OR EXISTS (SELECT 1 FROM dictionaries WHERE id = ?4 AND retired = 0))";

const READ_PROGRESS: &str = "SELECT value FROM meta WHERE key = 'reencode'";

const KEEP_PROGRESS: &str = "\
INSERT INTO meta (key, value) VALUES ('reencode', ?1)
ON CONFLICT (key) DO UPDATE SET value = excluded.value";

const END_PROGRESS: &str = "DELETE FROM meta WHERE key = 'reencode'";

/// What became of the payloads that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reencoded {
    /// Looked at.
    pub seen: u64,
    /// Written anew. The others were as they should be, or were changed meanwhile.
    pub rewritten: u64,
    /// Could not be read and are as they were; `memory-mcp show` says what is wrong with one.
    pub damaged: u64,
    /// Bytes of what was looked at, before.
    pub bytes_before: u64,
    /// Bytes of the same, after.
    pub bytes_after: u64,
}

/// A payload as it was read.
struct Row {
    rid: i64,
    version: i64,
    id: EpisodeId,
    payload: Vec<u8>,
    project: String,
}

impl TursoStore {
    /// Brings every payload to the present settings, batch by batch, beside readers and writers, and
    /// tells `progress` after each batch. Interrupted, it goes on from there when it is called with
    /// the same settings again. Projects with enough episodes get a dictionary first, where the
    /// settings want one.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn reencode(&self, mut progress: impl FnMut(&Reencoded)) -> Result<Reencoded> {
        let settings = format!("{:?}", self.payloads.config);
        let mut done = Reencoded::default();
        let mut after = self.progress_of(&settings).await?;
        loop {
            let params =
                vec![Value::Integer(after), Value::Integer(BATCH), Value::Integer(MAX_PAGE_BYTES)];
            let rows = self.payload_rows(Statement::new(PAGE, params)).await?;
            let Some(last) = rows.last() else { break };
            after = last.rid;
            let progressed = format!("{after} {settings}").into_bytes();
            let keep = Statement::new(KEEP_PROGRESS, vec![Value::Blob(progressed)]);
            self.rewrite(rows, Some(keep), &mut done).await?;
            progress(&done);
        }
        let end = vec![Statement::new(END_PROGRESS, vec![])];
        self.database.run(Batch { access: Access::Write, statements: end }).await?;
        Ok(done)
    }

    /// The last row of an interrupted run with the same settings.
    async fn progress_of(&self, settings: &str) -> Result<i64> {
        let ask = read::read(vec![Statement::new(READ_PROGRESS, vec![])]);
        let rows = read::rows(self.database.run(ask).await?);
        let Some(row) = rows.into_iter().next() else { return Ok(0) };
        let value = Columns::new(row).blob()?;
        let value = String::from_utf8_lossy(&value);
        let rid = value.split_once(' ').filter(|(_, of)| *of == settings).map(|(rid, _)| rid);
        Ok(rid.and_then(|rid| rid.parse().ok()).unwrap_or(0))
    }

    /// Writes anew whatever names a retired dictionary of a project, until nothing does.
    pub(super) async fn rewrite_retired(&self, project: &str) -> Result<()> {
        let (mut after, mut clean) = (0, true);
        loop {
            let params = vec![
                Value::Integer(after),
                Value::Integer(BATCH),
                Value::Integer(MAX_PAGE_BYTES),
                text(project),
            ];
            let rows = self.payload_rows(Statement::new(RETIRED_PAGE, params)).await?;
            match rows.last() {
                Some(last) => after = last.rid,
                // One more look: a running episode may have got steps between reading and writing.
                None if clean => return Ok(()),
                None => {
                    (after, clean) = (0, true);
                    continue;
                }
            }
            clean = false;
            let mut done = Reencoded::default();
            let id = rows.first().map(|row| row.id);
            self.rewrite(rows, None, &mut done).await?;
            if let (Some(id), true) = (id, done.damaged > 0) {
                let problem = "it or one after it cannot be read, so its dictionary is kept";
                return Err(damaged(&format!("episode {id}"), problem));
            }
        }
    }

    async fn payload_rows(&self, statement: Statement) -> Result<Vec<Row>> {
        let rows = read::rows(self.database.run(read::read(vec![statement])).await?);
        self.fetch_dictionaries(read::episodes::dictionaries_in(&rows, 3)).await?;
        rows.into_iter()
            .map(|row| {
                let mut row = Columns::new(row);
                Ok(Row {
                    rid: row.integer()?,
                    version: row.integer()?,
                    id: EpisodeId::from_bytes(row.id()?),
                    payload: row.blob()?,
                    project: row.text()?,
                })
            })
            .collect()
    }

    async fn rewrite(
        &self,
        rows: Vec<Row>,
        keep: Option<Statement>,
        done: &mut Reencoded,
    ) -> Result<()> {
        for row in &rows {
            if self.payloads.dictionaries.known(&row.project) == Known::No {
                if self.payloads.config.compression == Compression::ZstdDictionary {
                    self.train_dictionary(&row.project).await?;
                }
                self.know_dictionary(&row.project).await?;
            }
        }
        let mut statements = Vec::new();
        for row in rows {
            let before = row.payload.len() as u64;
            let mut after = before;
            match self.payloads.renewed(row.id, &row.project, &row.payload) {
                Ok(Some(renewed)) => {
                    after = renewed.bytes.len() as u64;
                    statements.push(rewrite(&row, renewed));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "a payload is left as it is");
                    done.damaged += 1;
                }
            }
            done.seen += 1;
            done.bytes_before += before;
            done.bytes_after += after;
        }
        let renewed = statements.len();
        statements.extend(keep);
        let results = self.database.run(Batch { access: Access::Write, statements }).await?;
        done.rewritten += results.iter().take(renewed).map(|result| result.affected).sum::<u64>();
        Ok(())
    }
}

fn rewrite(row: &Row, renewed: Encoded) -> Statement {
    let dictionary = renewed.dictionary.map_or(Value::Null, |id| Value::Blob(id.to_vec()));
    let payload = Value::Blob(renewed.bytes);
    let params = vec![Value::Integer(row.rid), Value::Integer(row.version), payload, dictionary];
    Statement::new(REWRITE, params)
}
