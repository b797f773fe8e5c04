//! Which database something waits for, and which process may deliver.

use memory_core::{Error, Result, Timestamp};

use super::{PendingFile, at};
use crate::batch::{Statement, Value};
use crate::columns::Columns;

/// One database in the file: a URL and, once it was reached, the database's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target(pub(super) i64);

impl Target {
    pub(super) fn value(self) -> Value {
        Value::Integer(self.0)
    }
}

/// What was accepted before the first contact is for the database that is reached first.
const IDENTIFY: &str = "\
UPDATE targets SET database = ?2 WHERE url = ?1 AND database IS NULL
    AND NOT EXISTS (SELECT 1 FROM targets WHERE url = ?1 AND database = ?2)";

const ADD: &str = "\
INSERT INTO targets (url, database, used_at) VALUES (?1, ?2, ?3)
ON CONFLICT (url, database) DO UPDATE SET used_at = excluded.used_at";

const ADD_UNKNOWN: &str = "\
INSERT INTO targets (url, database, used_at)
SELECT ?1, NULL, ?2 WHERE NOT EXISTS (SELECT 1 FROM targets WHERE url = ?1)";

const FIND: &str = "SELECT id FROM targets WHERE url = ?1 AND database = ?2";

const FIND_LAST: &str = "SELECT id FROM targets WHERE url = ?1 ORDER BY used_at DESC LIMIT 1";

/// Taken when it is free, ours, or was held by a process that is gone.
/// A lease that ends later than one taken now is from before the clock was set back.
const TAKE_LEASE: &str = "\
INSERT INTO leases (target, holder, until) VALUES (?1, ?2, ?4)
ON CONFLICT (target) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE leases.holder = excluded.holder OR leases.until < ?3 OR leases.until > excluded.until";

const GIVE_LEASE: &str = "DELETE FROM leases WHERE target = ?1 AND holder = ?2";

impl PendingFile {
    /// The target for a database behind `url`. `None`: not reached yet; then the one that was
    /// reached last is meant.
    pub async fn target(
        &self,
        url: &str,
        database: Option<[u8; 16]>,
        now: Timestamp,
    ) -> Result<Target> {
        let url = Value::Text(url.to_owned());
        let statements = match database {
            Some(database) => {
                let pair = vec![url, Value::Blob(database.to_vec())];
                let add = [pair.clone(), vec![at(now)]].concat();
                vec![
                    Statement::new(IDENTIFY, pair.clone()),
                    Statement::new(ADD, add),
                    Statement::new(FIND, pair),
                ]
            }
            None => vec![
                Statement::new(ADD_UNKNOWN, vec![url.clone(), at(now)]),
                Statement::new(FIND_LAST, vec![url]),
            ],
        };
        let found = self.write(statements).await?.pop();
        Ok(Target(Columns::first_of(found.into_iter().collect())?.integer()?))
    }

    /// Takes or renews the right to deliver to `target` until a time. False: another process has it.
    pub async fn take_lease(
        &self,
        target: Target,
        holder: [u8; 16],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool> {
        let params = vec![target.value(), Value::Blob(holder.to_vec()), at(now), at(until)];
        let results = self.write(vec![Statement::new(TAKE_LEASE, params)]).await?;
        let result = results.first().ok_or_else(|| Error::Engine {
            context: "the lease of pending.db".into(),
            message: "no result".into(),
        })?;
        Ok(result.affected > 0)
    }

    /// Gives the right back, so that another process need not wait for its end.
    pub async fn give_lease(&self, target: Target, holder: [u8; 16]) -> Result<()> {
        let params = vec![target.value(), Value::Blob(holder.to_vec())];
        self.write(vec![Statement::new(GIVE_LEASE, params)]).await.map(drop)
    }
}
