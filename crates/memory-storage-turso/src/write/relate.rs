//! Relating two episodes, without cycles where order matters.

use memory_core::store::{Relation, RelationKind};
use memory_core::{EpisodeId, Error, Result};

use super::{Plan, blob, done, own_write_id, text};
use crate::batch::{Statement, Value};
use crate::columns::Columns;

/// Both ends are of the project, and the relation is not there yet.
macro_rules! sensible {
    () => {
        "EXISTS (SELECT 1 FROM episodes WHERE id = ?1 AND project = ?4) \
         AND EXISTS (SELECT 1 FROM episodes WHERE id = ?3 AND project = ?4) \
         AND NOT EXISTS (SELECT 1 FROM relations \
           WHERE from_id = ?1 AND relation = ?2 AND to_id = ?3)"
    };
}

/// A parent may not be a descendant.
macro_rules! no_descendant {
    () => {
        " AND ?1 NOT IN (WITH RECURSIVE above (id) AS (SELECT ?3 UNION \
           SELECT r.to_id FROM above \
             JOIN relations r ON r.from_id = above.id AND r.relation = 'parent') \
         SELECT id FROM above)"
    };
}

/// One order for three relations: what an episode depends on or follows, and what blocks it, comes
/// before it. `?7` is the one that comes first by the new relation, `?8` the other, which must not
/// come before it already.
macro_rules! no_cycle {
    () => {
        " AND ?8 NOT IN (WITH RECURSIVE earlier (id) AS (SELECT ?7 UNION \
           SELECT r.to_id FROM earlier JOIN relations r \
             ON r.from_id = earlier.id AND r.relation IN ('depends_on', 'follows') UNION \
           SELECT r.from_id FROM earlier JOIN relations r \
             ON r.to_id = earlier.id AND r.relation = 'blocks') \
         SELECT id FROM earlier)"
    };
}

/// The change record comes first: the relation itself would make it look like a repetition.
macro_rules! guarded {
    ($guard:expr) => {
        [
            concat!(
                "INSERT INTO changes (kind, id, version, write_id) \
                 SELECT 'relation', ?1, NULL, ?6 WHERE ",
                sensible!(),
                $guard
            ),
            concat!(
                "INSERT INTO relations (from_id, relation, to_id, project, at) \
                 SELECT ?1, ?2, ?3, ?4, ?5 WHERE ",
                sensible!(),
                $guard
            ),
        ]
    };
}

const PUT: [&str; 2] = guarded!("");
const PUT_PARENT: [&str; 2] = guarded!(no_descendant!());
const PUT_ORDERED: [&str; 2] = guarded!(no_cycle!());

const STATUS: &str = "\
SELECT EXISTS (SELECT 1 FROM relations WHERE from_id = ?1 AND relation = ?2 AND to_id = ?3),
    EXISTS (SELECT 1 FROM episodes WHERE id = ?1 AND project = ?4),
    EXISTS (SELECT 1 FROM episodes WHERE id = ?3 AND project = ?4),
    EXISTS (SELECT 1 FROM tombstones WHERE id = ?1 AND project = ?4),
    EXISTS (SELECT 1 FROM tombstones WHERE id = ?3 AND project = ?4)";

pub(super) fn plan(relation: &Relation) -> Result<Plan> {
    let Relation { from, to, .. } = *relation;
    if from == to {
        return Err(Error::invalid("relation", "relates an episode to itself; name another one"));
    }
    let ends = vec![
        blob(from.as_bytes()),
        text(relation.relation.as_str()),
        blob(to.as_bytes()),
        text(&relation.project),
    ];
    let at = Value::Integer(relation.at.0);
    let row = [ends.clone(), vec![at, own_write_id(relation.at)]].concat();
    let ([record, put], order) = match relation.relation {
        RelationKind::Parent => (PUT_PARENT, None),
        RelationKind::DependsOn | RelationKind::Follows => (PUT_ORDERED, Some((to, from))),
        RelationKind::Blocks => (PUT_ORDERED, Some((from, to))),
        RelationKind::Related | RelationKind::Duplicates | RelationKind::References => (PUT, None),
    };
    let (mut record_params, mut put_params) = (row.clone(), row);
    if let Some((first, other)) = order {
        let order = [blob(first.as_bytes()), blob(other.as_bytes())];
        record_params.extend(order.clone());
        put_params.extend(order);
    } else {
        put_params.truncate(5);
    }
    let statements = vec![
        Statement::new(record, record_params),
        Statement::new(put, put_params),
        Statement::new(STATUS, ends),
    ];
    Ok(Plan::new(statements, move |row| verdict(from, to, row)))
}

fn verdict(
    from: EpisodeId,
    to: EpisodeId,
    mut row: Columns,
) -> Result<memory_core::store::Written> {
    let there = row.boolean()?;
    let (from_there, to_there) = (row.boolean()?, row.boolean()?);
    let (from_forgotten, to_forgotten) = (row.boolean()?, row.boolean()?);
    if there {
        return done(0);
    }
    for (id, there, forgotten) in [(from, from_there, from_forgotten), (to, to_there, to_forgotten)]
    {
        if forgotten {
            return Err(Error::Forgotten { id });
        }
        if !there {
            return Err(Error::NotFound {
                kind: "episode",
                id: id.to_string(),
                hint: "both episodes of a relation must be recorded first",
            });
        }
    }
    let problem = format!(
        "from {from} to {to} would close a cycle: {to} already comes after {from}; turn it round or \
         remove the other relation"
    );
    Err(Error::invalid("relation", problem))
}
