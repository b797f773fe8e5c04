//! Relations of an episode.

use memory_core::store::{Relation, Scope};
use memory_core::{EpisodeId, Result, Timestamp};

use crate::batch::Statement;
use crate::columns::Columns;
use crate::names::parse_relation;
use crate::write::{blob, scope_value};

const OF_EPISODE: &str = "\
SELECT from_id, relation, to_id, project, at FROM relations
WHERE from_id = ?1 AND (?2 IS NULL OR project = ?2)
UNION
SELECT from_id, relation, to_id, project, at FROM relations
WHERE to_id = ?1 AND (?2 IS NULL OR project = ?2)
ORDER BY 1, 2, 3";

pub(crate) fn relations(scope: &Scope, id: EpisodeId) -> Statement {
    Statement::new(OF_EPISODE, vec![blob(id.as_bytes()), scope_value(scope)])
}

/// A row of from, relation, to, project, time.
pub(crate) fn relation(mut row: Columns) -> Result<Relation> {
    Ok(Relation {
        from: EpisodeId::from_bytes(row.id()?),
        relation: parse_relation(&row.text()?)?,
        to: EpisodeId::from_bytes(row.id()?),
        project: row.text()?,
        at: Timestamp(row.integer()?),
    })
}
