//! `memory-mcp backup FILE`.

use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use memory_storage_turso::Maintenance;
use memory_storage_turso::backup::Progress;
use serde_json::json;

use super::args::BackupArgs;
use super::output::{DIM, Output, paint};
use super::session::Session;
use super::{Failure, copy, progress};
use crate::config::Place;

/// How often the bar is moved.
const GLANCE: Duration = Duration::from_millis(100);

pub(super) async fn run(
    args: &BackupArgs,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let place = session.place()?;
    copy::warn_of_waiting(&place, session).await?;
    let database = open(&place, session).await?;
    let told = Arc::new(Progress::default());
    let made = with_bar(&told, database.back_up(&args.file, &told)).await;
    database.close().await;
    let sealed = made.map_err(|e| Failure::from(e).about(&place))?;
    let file = args.file.display();
    if out.is_json() {
        return out.json(&json!({
            "database": place.to_string(),
            "backup": file.to_string(),
            "bytes": sealed.bytes,
            "sha256": sealed.sha256,
        }));
    }
    let size = indicatif::HumanBytes(sealed.bytes);
    out.line(format_args!("Backed up {place} to {file}, {size}."))?;
    out.line(paint(DIM, format_args!("`memory-mcp restore {file}` brings it back")))
}

/// As it is, whatever its schema.
async fn open(place: &Place, session: &Session) -> Result<Maintenance, Failure> {
    let config = session.config();
    Ok(match place {
        Place::File(path) => Maintenance::open(config.file(path.clone())).await?,
        Place::Server(url) => Maintenance::connect(config.server(url.clone(), config.token()))?,
    })
}

/// Awaits `work` with a bar that shows what it tells.
pub(super) async fn with_bar<T>(told: &Progress, work: impl Future<Output = T>) -> T {
    let bar = progress::bytes(0);
    let done = tokio::select! {
        done = work => done,
        never = watch(&bar, told) => match never {},
    };
    bar.finish_and_clear();
    done
}

async fn watch(bar: &ProgressBar, told: &Progress) -> std::convert::Infallible {
    loop {
        let (done, total) = told.get();
        bar.set_length(total.max(done));
        bar.set_position(done);
        tokio::time::sleep(GLANCE).await;
    }
}
