//! Dictionaries made of a project's own episodes, in the background and by one process at a time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use memory_core::envelope::Compression;
use memory_core::store::{EpisodeStore as _, Filter, ListQuery, Scope, Write};
use memory_core::{Episode, EpisodeId, Result, Timestamp, WriteId};

use super::dictionaries;
use crate::batch::{Access, Batch, Statement, Value};
use crate::columns::Columns;
use crate::payload::{Dictionary, trained};
use crate::read::{self, MAX_PAGE};
use crate::store::{TursoStore, saved_project};
use crate::transport::offload;
use crate::write::{hex, text};

/// Episodes of a project that a first dictionary takes; another one is made when there are so many
/// times more than the last one has seen.
const FIRST: i64 = 200;
const MORE: i64 = 8;

/// Saves of a project after which it is looked at, and how many times more it takes every next time.
const LOOK_AFTER: u64 = 50;
const LESS_OFTEN: u64 = 4;

/// How long nobody else makes a dictionary, in seconds: training takes one, reading the episodes over
/// a slow network some more.
const LEASE_SECONDS: i64 = 120;

/// The number of the newest dictionary, how many episodes the next one takes, and whether there are.
const STATE: &str = "\
WITH newest AS (
    SELECT n, episodes FROM dictionaries WHERE project = ?1 AND retired = 0 ORDER BY n DESC LIMIT 1),
due (episodes) AS (SELECT coalesce((SELECT episodes * ?3 FROM newest), ?2))
SELECT coalesce((SELECT n FROM newest), 0), (SELECT episodes FROM due),
    (SELECT count(*) FROM (
        SELECT 1 FROM episodes WHERE project = ?1 LIMIT (SELECT episodes FROM due)))";

/// A lease that ends later than one taken now is from before the clock was set back.
const TAKE_LEASE: &str = "\
INSERT INTO leases (name, holder, until) VALUES ('dictionary', ?1, unixepoch() + ?2)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE leases.until < unixepoch() OR leases.until > excluded.until";

const HAS_LEASE: &str =
    "SELECT EXISTS (SELECT 1 FROM leases WHERE name = 'dictionary' AND holder = ?1)";

const PROJECTS_OF_FORGOTTEN: &str = "\
SELECT DISTINCT t.project FROM json_each(?1) j CROSS JOIN tombstones t WHERE t.id = unhex(j.value)";

const GIVE_LEASE: &str = "DELETE FROM leases WHERE name = 'dictionary' AND holder = ?1";

/// How much was saved of each project since it was last looked at.
#[derive(Debug, Default)]
pub(crate) struct Saves(Mutex<HashMap<String, Looked>>);

#[derive(Debug)]
struct Looked {
    saves: u64,
    next: u64,
}

impl Saves {
    /// Counts the episodes that are saved.
    pub(crate) fn note(&self, writes: &[Write]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for project in writes.iter().filter_map(saved_project) {
            match all.get_mut(project) {
                Some(looked) => looked.saves += 1,
                None => {
                    all.insert(project.to_owned(), Looked { saves: 1, next: LOOK_AFTER });
                }
            }
        }
    }

    /// The projects that it is time to look at.
    fn due(&self) -> Vec<String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = all.iter_mut().filter(|(_, looked)| looked.saves >= looked.next);
        due.map(|(project, looked)| {
            *looked = Looked { saves: 0, next: looked.next.saturating_mul(LESS_OFTEN) };
            project.clone()
        })
        .collect()
    }
}

impl TursoStore {
    /// Makes a dictionary for each project that this process saved much of.
    pub(crate) async fn train_where_due(&self) -> Result<()> {
        if self.payloads.config.compression == Compression::ZstdDictionary {
            for project in self.saves.due() {
                self.train_dictionary(&project).await?;
            }
        }
        Ok(())
    }

    /// Makes a dictionary of a project's newest episodes, if there are enough more than the last one
    /// has seen, it is better than that, and no other process is at it. True: it made one.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn train_dictionary(&self, project: &str) -> Result<bool> {
        let params = vec![text(project), Value::Integer(FIRST), Value::Integer(MORE)];
        let state = self.database.run(read::read(vec![Statement::new(STATE, params)])).await?;
        let mut row = Columns::first_of(state)?;
        let (newest, due, there) = (row.integer()?, row.integer()?, row.integer()?);
        if there < due {
            return Ok(false);
        }
        let holder = WriteId::generate(Timestamp(0));
        let holder = Value::Blob(holder.as_bytes().to_vec());
        if !self.take_lease(&holder).await? {
            return Ok(false);
        }
        let made = self.make(project).await;
        let mut statements = match &made {
            Ok(Some(dictionary)) => {
                dictionaries::put(project, newest, there.unsigned_abs(), dictionary)
            }
            _ => Vec::new(),
        };
        statements.push(Statement::new(GIVE_LEASE, vec![holder]));
        self.database.run(Batch { access: Access::Write, statements }).await?;
        let made = made?.is_some();
        if made {
            self.payloads.dictionaries.forget_current(project);
            tracing::info!(project, episodes = there, "a dictionary was made");
        }
        Ok(made)
    }

    async fn take_lease(&self, holder: &Value) -> Result<bool> {
        let take = vec![holder.clone(), Value::Integer(LEASE_SECONDS)];
        let statements =
            vec![Statement::new(TAKE_LEASE, take), Statement::new(HAS_LEASE, vec![holder.clone()])];
        let mut results = self.database.run(Batch { access: Access::Write, statements }).await?;
        Columns::first_of(results.split_off(1))?.boolean()
    }

    async fn make(&self, project: &str) -> Result<Option<Dictionary>> {
        self.know_dictionary(project).await?;
        let query = ListQuery {
            scope: Scope::Project(project.to_owned()),
            filter: Filter { include_archived: true, ..Filter::default() },
            after: None,
            limit: MAX_PAGE,
        };
        let episodes = self.list(&query).await?.episodes;
        let current = self.payloads.dictionaries.current(project);
        let codec = self.payloads.config.codec;
        offload(move || {
            let episodes: Vec<&Episode> = episodes.iter().map(|episode| &**episode).collect();
            let current = current.as_ref().unwrap_or_else(|| Dictionary::shipped());
            trained(codec, &episodes, current)
        })
        .await?
    }

    /// Withdraws the dictionaries of a project, which hold text of its episodes, forgotten ones
    /// included: nobody writes with them any more, what was written with them is written anew, then
    /// they are deleted. A new one is made of what is left, if that is enough. Repeating it goes on
    /// where it was interrupted.
    ///
    /// # Errors
    ///
    /// Those of the database, and [`Error::Corrupt`](memory_core::Error::Corrupt) when a payload that
    /// needs one of them cannot be read.
    pub async fn withdraw_dictionaries(&self, project: &str) -> Result<()> {
        let retire = vec![dictionaries::retire(project)];
        self.database.run(Batch { access: Access::Write, statements: retire }).await?;
        self.payloads.dictionaries.forget_current(project);
        self.train_dictionary(project).await?;
        self.rewrite_retired(project).await?;
        let delete = vec![dictionaries::delete_retired(project)];
        self.database.run(Batch { access: Access::Write, statements: delete }).await?;
        Ok(())
    }

    /// The same for every project that one of these forgotten episodes belonged to.
    ///
    /// # Errors
    ///
    /// Those of [`withdraw_dictionaries`](Self::withdraw_dictionaries).
    pub async fn withdraw_dictionaries_of(&self, forgotten: &[EpisodeId]) -> Result<()> {
        let ids: Vec<String> = forgotten.iter().map(|id| hex(id.as_bytes())).collect();
        let ids = Value::Text(serde_json::Value::from(ids).to_string());
        let ask = read::read(vec![Statement::new(PROJECTS_OF_FORGOTTEN, vec![ids])]);
        for row in read::rows(self.database.run(ask).await?) {
            self.withdraw_dictionaries(&Columns::new(row).text()?).await?;
        }
        Ok(())
    }
}
