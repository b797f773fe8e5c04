//! The database: does it answer, is it sound, what waits for it.

use std::time::Instant;

use memory_core::Error;
use memory_core::store::{EpisodeStore, Scope};
use memory_storage_turso::Maintenance;
use memory_storage_turso::pending::PendingFile;

use super::Check;
use crate::cli::Failure;
use crate::cli::session::Session;
use crate::config::Place;

pub(super) async fn checks(session: &Session) -> Vec<Check> {
    let Ok(place) = session.place() else { return Vec::new() };
    let config = session.config();
    let mut checks = Vec::new();
    let opened = match &place {
        Place::File(path) if !path.exists() => {
            checks.push(Check::ok(
                "database",
                format!("{place} does not exist yet; it is made when needed"),
            ));
            return checks;
        }
        Place::File(path) => Maintenance::open(config.file(path.clone())).await,
        Place::Server(url) => Maintenance::connect(config.server(url.clone(), config.token())),
    };
    match opened {
        Err(e) => checks.push(failed("database", &place, &e)),
        Ok(database) => {
            checks.push(schema(&database, &place).await);
            // Nothing more can be told of one that does not answer.
            if checks.iter().all(|check| check.todo.is_none()) {
                checks.push(pages(&database).await);
                checks.push(plans(&database).await);
            }
            database.close().await;
        }
    }
    if checks.iter().all(|check| check.todo.is_none()) {
        checks.push(content(session).await);
    }
    if matches!(place, Place::Server(_)) {
        checks.extend(pending(session).await);
    }
    checks
}

async fn schema(database: &Maintenance, place: &Place) -> Check {
    const NAME: &str = "database";
    let began = Instant::now();
    match database.steps().await {
        Err(e) => failed(NAME, place, &e),
        Ok(steps) => {
            let (applied, all) = (steps.iter().filter(|step| step.applied).count(), steps.len());
            let ms = began.elapsed().as_millis();
            if applied < all {
                let found = format!("{place} has schema {applied}, this program {all}");
                return Check::warn(NAME, found, "memory-mcp migrate");
            }
            Check::ok(NAME, format!("{place}, schema {applied}, answered in {ms} ms"))
        }
    }
}

async fn pages(database: &Maintenance) -> Check {
    const NAME: &str = "integrity";
    match database.quick_check().await {
        Ok(Some(problems)) if problems.is_empty() => Check::ok(NAME, "every page is sound"),
        Ok(Some(problems)) => Check::fail(
            NAME,
            format!("the file is damaged: {}", problems.join("; ")),
            "memory-mcp verify tells more; memory-mcp restore FILE brings back a backup",
        ),
        Ok(None) => Check::ok(NAME, "the server does not tell"),
        Err(e) => Check::fail(NAME, e.to_string(), "run it again when the database can be reached"),
    }
}

async fn plans(database: &Maintenance) -> Check {
    const NAME: &str = "plans";
    match database.full_scans().await {
        Ok(Some(scans)) if scans.is_empty() => Check::ok(NAME, "rows are found by index"),
        Ok(Some(scans)) => Check::fail(
            NAME,
            format!("tables are read as a whole: {}", scans.join("; ")),
            "an index is missing: memory-mcp verify --repair",
        ),
        Ok(None) => Check::ok(NAME, "the server does not tell"),
        Err(e) => Check::fail(NAME, e.to_string(), "run it again when the database can be reached"),
    }
}

async fn content(session: &Session) -> Check {
    const NAME: &str = "content";
    let memory = match session.open().await {
        Ok(memory) => memory,
        Err(failure) => {
            let problem = match failure {
                Failure::Told { message, .. } => message,
                _ => "it cannot be opened".to_owned(),
            };
            return Check::fail(NAME, problem, "memory-mcp verify tells more");
        }
    };
    let counts = memory.store().counts(&Scope::All).await;
    memory.store().durable().close().await;
    match counts {
        Ok(counts) => {
            let all: u64 = counts.episodes.values().sum();
            let lessons = counts.patterns + counts.heuristics;
            Check::ok(NAME, format!("{all} episodes, {lessons} lessons"))
        }
        Err(e) => Check::fail(NAME, e.to_string(), "memory-mcp verify tells more"),
    }
}

/// What waits on this machine for a server.
async fn pending(session: &Session) -> Option<Check> {
    const NAME: &str = "waiting";
    let file = session.config().pending_file();
    if !file.path.is_file() {
        return None;
    }
    let (most, path) = (file.max_entries, file.path.clone());
    let counts = match PendingFile::open(file).await {
        Ok(file) => {
            let counts = file.counts().await;
            file.close().await;
            counts
        }
        Err(e) => Err(e),
    };
    Some(match counts {
        Err(e) => {
            Check::fail(NAME, format!("{}: {e}", path.display()), "memory-mcp verify tells more")
        }
        Ok(counts) => {
            let waiting = counts.journaled + counts.queued;
            let found = format!("{waiting} writes wait, {} were refused", counts.conflicts);
            if counts.conflicts > 0 {
                Check::warn(NAME, found, "memory-mcp outbox list, then retry or drop them")
            } else if waiting > most / 2 {
                Check::warn(
                    NAME,
                    found,
                    "see that the server can be reached: no more than twice that may wait",
                )
            } else {
                Check::ok(NAME, found)
            }
        }
    })
}

fn failed(name: &'static str, place: &Place, e: &Error) -> Check {
    let todo = match (place, e) {
        (_, Error::Refused { hint, .. }) => hint.to_string(),
        (Place::Server(_), _) => {
            "is it up and reachable from here? `memory-mcp config` shows URL and token".to_owned()
        }
        (Place::File(_), _) => {
            "memory-mcp verify tells more; memory-mcp restore FILE brings back a backup".to_owned()
        }
    };
    Check::fail(name, e.to_string(), todo)
}
