//! What users said about episodes: of the hits of a search, and of others by id.

use memory_core::recall::FeedbackCounts;
use memory_core::{EpisodeId, Result};

use crate::batch::{Statement, Value};
use crate::columns::Columns;
use crate::write::hex;

/// What was said about the episode `h`, in the columns that [`feedback`] reads.
macro_rules! said_of_hit {
    () => {
        "(SELECT count(*) FROM feedback f WHERE f.subject = h.id AND f.verdict = 'helped'), \
         (SELECT count(*) FROM feedback f WHERE f.subject = h.id AND f.verdict = 'did_not_help'), \
         (SELECT count(*) FROM feedback f WHERE f.subject = h.id AND f.verdict = 'wrong'), \
         (SELECT count(*) FROM feedback f JOIN episodes a ON a.id = f.by_episode \
          WHERE f.subject = h.id AND f.verdict = 'recalled' \
          AND a.outcome NOT IN ('running', 'unjudged')), \
         (SELECT count(*) FROM feedback f JOIN episodes a ON a.id = f.by_episode \
          WHERE f.subject = h.id AND f.verdict = 'recalled' AND a.outcome = 'success')"
    };
}
pub(super) use said_of_hit;

const SAID: &str = concat!(
    "SELECT j.key, ",
    said_of_hit!(),
    " FROM json_each(?1) j CROSS JOIN episodes h WHERE h.id = unhex(j.value)"
);

pub(super) fn feedback(row: &mut Columns) -> Result<FeedbackCounts> {
    Ok(FeedbackCounts {
        helped: row.unsigned()?,
        did_not_help: row.unsigned()?,
        wrong: row.unsigned()?,
        recalled: row.unsigned()?,
        recalled_well: row.unsigned()?,
    })
}

/// What was said about episodes.
pub(crate) fn said(ids: &[EpisodeId]) -> Statement {
    let ids: Vec<String> = ids.iter().map(|id| hex(id.as_bytes())).collect();
    Statement::new(SAID, vec![Value::Text(serde_json::Value::from(ids).to_string())])
}

/// The rows of [`said`], for each of `count` ids.
pub(crate) fn counts(count: usize, rows: Vec<Vec<Value>>) -> Result<Vec<FeedbackCounts>> {
    let mut all = vec![FeedbackCounts::default(); count];
    for row in rows {
        let mut row = Columns::new(row);
        let place = usize::try_from(row.unsigned()?).ok();
        let counts = feedback(&mut row)?;
        if let Some(slot) = place.and_then(|place| all.get_mut(place)) {
            *slot = counts;
        }
    }
    Ok(all)
}
