//! `memory-mcp migrate --reencode`.

use memory_core::EpisodeStore;
use memory_core::store::Scope;
use memory_storage_turso::{Reencoded, TursoStore};
use serde_json::json;

use crate::cli::output::{self, Output};
use crate::cli::session::Session;
use crate::cli::{Failure, progress};
use crate::config::Place;

pub(super) async fn run(session: &Session, out: &mut Output) -> Result<(), Failure> {
    let (config, place) = (session.config(), session.place()?);
    let store = match &place {
        Place::File(path) => TursoStore::open(config.file(path.clone())).await?,
        Place::Server(url) => TursoStore::connect(config.server(url.clone(), config.token()))?,
    };
    let done = reencode(&store).await;
    store.close().await;
    let done = done.map_err(|failure| failure.about(&place))?;
    tell(&done, &place, out)
}

async fn reencode(store: &TursoStore) -> Result<Reencoded, Failure> {
    let bar = progress::records(store.counts(&Scope::All).await?.episodes.values().sum());
    let done = store.reencode(|so_far| bar.set_position(so_far.seen)).await;
    bar.finish_and_clear();
    Ok(done?)
}

fn tell(done: &Reencoded, place: &Place, out: &mut Output) -> Result<(), Failure> {
    let Reencoded { seen, rewritten, damaged, bytes_before, bytes_after } = *done;
    if damaged > 0 {
        output::warn(format_args!(
            "{damaged} could not be read and are as they were; `memory-mcp verify` names them"
        ));
    }
    if out.is_json() {
        return out.json(&json!({
            "database": place.to_string(),
            "episodes": seen,
            "rewritten": rewritten,
            "damaged": damaged,
            "bytes_before": bytes_before,
            "bytes_after": bytes_after,
        }));
    }
    out.line(format_args!(
        "{seen} episodes looked at, {rewritten} written anew: {bytes_before} bytes before, {bytes_after} after."
    ))
}
