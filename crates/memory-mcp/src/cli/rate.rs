//! `memory-mcp rate last good`.

use memory_core::store::{EpisodeStore, Filter, ListQuery};
use memory_core::{EpisodeId, OutcomeKind};
use serde_json::json;

use super::Failure;
use super::args::{RateArgs, Rating};
use super::output::{Output, one_line, width};
use super::session::{LocalMemory, Session};

pub(super) async fn run(
    args: &RateArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let id = match args.id.as_str() {
        "last" => last(memory, session).await?,
        id => id.parse()?,
    };
    let kind = match args.rating {
        Rating::Good => OutcomeKind::Success,
        Rating::Bad => OutcomeKind::Failure,
    };
    let episode = memory.rate(&session.scope(), id, kind, &args.note.join(" ")).await?;
    if out.is_json() {
        return out.json(&json!({
            "id": id, "outcome": episode.state(), "lessons": episode.lessons,
        }));
    }
    let task = one_line(&episode.task_description, width().saturating_sub(30));
    let lessons = episode.lessons.len();
    out.line(format_args!("{} ({lessons} lessons): {task}", episode.state()))
}

/// Of so many that began last, the one that ended last is judged.
const LATEST: usize = 100;

/// The session or task that ended last.
async fn last(memory: &LocalMemory, session: &Session) -> Result<EpisodeId, Failure> {
    let states = OutcomeKind::ALL.map(|kind| kind.as_str().to_owned()).to_vec();
    let filter = Filter { states, ..Filter::default() };
    // Listings are by when a run began; of those side by side, one that began earlier may end later.
    let query = ListQuery { scope: session.scope(), filter, after: None, limit: LATEST };
    let page = memory.store().list(&query).await?;
    page.episodes
        .iter()
        .max_by_key(|episode| episode.ended_at)
        .map(|episode| episode.id)
        .ok_or_else(|| {
            Failure::not_found("no episode has ended yet").hint(
            "`memory-mcp list` shows what there is; `memory-mcp rate ID good|bad` takes any of it",
        )
        })
}
