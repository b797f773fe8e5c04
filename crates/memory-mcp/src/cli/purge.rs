//! `memory-mcp forget --purge`: after forgetting, nothing of it is left on this machine.

use std::path::{Path, PathBuf};

use memory_core::EpisodeId;
use memory_storage_turso::pending::PendingFile;
use memory_storage_turso::{Maintenance, TursoStore};

use super::Failure;
use super::output::{self};
use super::session::Session;
use crate::config::Place;
use crate::hook::Journal;
use crate::hook::context::drop_kept;

/// To be called when this process has let go of the database and the cache.
pub(super) async fn run(ids: &[EpisodeId], session: &Session) -> Result<(), Failure> {
    let (config, place) = (session.config(), session.place()?);
    let store = match &place {
        Place::File(path) => TursoStore::open(config.file(path.clone())).await?,
        Place::Server(url) => TursoStore::connect(config.server(url.clone(), config.token()))?,
    };
    let withdrawn = store.withdraw_dictionaries_of(ids).await;
    store.close().await;
    withdrawn?;
    let database = match &place {
        Place::File(path) => Maintenance::open(config.file(path.clone())).await?,
        Place::Server(url) => Maintenance::connect(config.server(url.clone(), config.token()))?,
    };
    let scrubbed = database.scrub().await;
    database.close().await;
    scrubbed?;
    let pending = config.pending_file();
    if pending.path.is_file() {
        let file = PendingFile::open(pending).await?;
        let purged = file.purge(ids).await;
        file.close().await;
        purged?;
    }
    drop_caches(&config.cache_dir())?;
    drop_journals(ids, &Journal::in_data_dir(&config.data_dir))?;
    tell_what_stays(&place);
    Ok(())
}

/// What hooks recorded of them, and what sessions are told of earlier work.
fn drop_journals(ids: &[EpisodeId], journal: &Journal) -> Result<(), Failure> {
    let dropped = ids.iter().try_for_each(|id| journal.forget(*id));
    dropped.and_then(|()| drop_kept(journal)).map_err(|e| {
        Failure::failed(format!("{} cannot be purged: {e}", journal.dir().display()))
            .hint("delete what is in it that belongs to the episode, and purge again")
    })
}

/// Other processes go on with files that have no name any more, and that are gone with them.
fn drop_caches(directory: &Path) -> Result<(), Failure> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|extension| extension == "redb") {
            std::fs::remove_file(&path).map_err(|e| {
                Failure::failed(format!("the cache file {} cannot be deleted: {e}", path.display()))
                    .hint("stop the memory-mcp that has it open, delete it, and purge again")
            })?;
        }
    }
    Ok(())
}

fn tell_what_stays(place: &Place) {
    match place {
        Place::File(path) => {
            let kept: Vec<String> =
                backups_beside(path).iter().map(|path| path.display().to_string()).collect();
            if kept.is_empty() {
                output::say("Backups and exports, wherever they are, still hold what they held.");
            } else {
                output::warn(format_args!(
                    "these backups, and others wherever they are, still hold what they held: {}",
                    kept.join(", ")
                ));
            }
        }
        Place::Server(url) => output::warn(format_args!(
            "the free space, the log and the backups of {url} are its operator's: they may hold what was \
             deleted until they are overwritten"
        )),
    }
}

/// What migrations kept.
fn backups_beside(database: &Path) -> Vec<PathBuf> {
    let name = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let directory = database.parent().filter(|parent| *parent != Path::new(""));
    let Ok(entries) = std::fs::read_dir(directory.unwrap_or(Path::new("."))) else {
        return Vec::new();
    };
    let is_kept = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.starts_with(&format!("{name}.schema-")) && file.ends_with(".backup")
    };
    let mut kept: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_kept).collect();
    kept.sort();
    kept
}
