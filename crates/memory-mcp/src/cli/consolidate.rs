//! `memory-mcp consolidate`, and the same in a server that nobody calls.

use std::sync::Weak;
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use memory_core::EpisodeStore;
use memory_core::memory::{Archived, Consolidate, Consolidated};
use memory_core::store::Scope;
use memory_core::{Error, Timestamp};
use serde_json::json;

use super::output::{DIM, Output, one_line, paint};
use super::session::{LocalMemory, Session};
use super::{Failure, progress};
use crate::config::Config;

/// Arguments of `consolidate`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Nothing is lost: archived episodes stay as they are, `show` and `list --archived` show them, and what
they taught is recalled as before. Age is a reason only with retention.archive_after_days. Agents may go
on working; stopped and run again, it goes on.")]
pub struct ConsolidateArgs {
    /// Say what would be archived, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

const DAY_US: i64 = 86_400_000_000;

/// Episodes grow old while nothing changes: an idle server looks again after this long.
const AGAIN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Episodes that a dry run names for people; `--json` names all.
const NAMED: usize = 50;

pub(super) async fn run(
    args: &ConsolidateArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut what = policy(session.config(), session.scope(), memory.now());
    what.dry_run = args.dry_run;
    let bar = progress::records(memory.store().counts(&what.scope).await?.episodes.values().sum());
    let done = memory.consolidate(&what, |so_far| bar.set_position(so_far.looked_at)).await;
    bar.finish_and_clear();
    let done = done?;
    if out.is_json() {
        let Consolidated { looked_at, archived, changed_meanwhile } = &done;
        return out.json(&json!({
            "dry_run": args.dry_run,
            "looked_at": looked_at,
            "archived": archived,
            "changed_meanwhile": changed_meanwhile,
        }));
    }
    tell(&done, args.dry_run, session.config(), out)
}

fn tell(
    done: &Consolidated,
    dry_run: bool,
    config: &Config,
    out: &mut Output,
) -> Result<(), Failure> {
    if dry_run {
        for one in done.archived.iter().take(NAMED) {
            out.line(line(one))?;
        }
        if let Some(more) = done.archived.len().checked_sub(NAMED).filter(|more| *more > 0) {
            out.line(paint(DIM, format_args!("and {more} more (--json)")))?;
        }
    }
    let duplicates = done.archived.iter().filter(|one| one.duplicate_of.is_some()).count();
    let old = done.archived.len() - duplicates;
    let would = if dry_run { "would be " } else { "" };
    out.line(format_args!(
        "{} finished episodes looked at; {would}archived: {duplicates} that repeat a later run, {old} old \
         ones.",
        done.looked_at
    ))?;
    if done.changed_meanwhile > 0 {
        out.line(format_args!("{} were changed meanwhile and stay.", done.changed_meanwhile))?;
    }
    if config.retention.archive_after_days == 0 {
        out.line(paint(DIM, "(age is no reason: retention.archive_after_days is 0)"))?;
    }
    Ok(())
}

fn line(one: &Archived) -> String {
    let task = one_line(&one.task, 60);
    match one.duplicate_of {
        Some(of) => format!("{}  {task}  repeats {of}", one.id),
        None => format!("{}  {task}  old, stays evidence for {} lessons", one.id, one.lessons),
    }
}

fn policy(config: &Config, scope: Scope, now: Timestamp) -> Consolidate {
    let days = i64::from(config.retention.archive_after_days);
    let archive_before = (days > 0).then(|| Timestamp(now.0.saturating_sub(days * DAY_US)));
    Consolidate { scope, archive_before, dry_run: false }
}

/// Consolidates when nothing was written for a while, if the settings say so, for as long as the
/// memory is there.
pub(super) async fn when_idle(memory: Weak<LocalMemory>, config: Config, scope: Scope) {
    let idle = Duration::from_millis(config.retention.consolidate_after_idle_ms);
    if idle.is_zero() {
        return;
    }
    let mut seen = None;
    let mut last: Option<(_, Instant)> = None;
    loop {
        tokio::time::sleep(idle).await;
        let Some(memory) = memory.upgrade() else { return };
        let watermark = |changes: memory_core::store::Changes| changes.watermark;
        let Ok(now) = memory.store().changes(None).await.map(watermark) else { continue };
        let is_idle = seen.as_ref() == Some(&now);
        let is_done =
            last.as_ref().is_some_and(|(at, when)| *at == now && when.elapsed() < AGAIN_AFTER);
        seen = Some(now);
        if !is_idle || is_done {
            continue;
        }
        let done = memory.consolidate(&policy(&config, scope.clone(), memory.now()), |_| ()).await;
        match told(done) {
            Ok(()) => {
                seen = memory.store().changes(None).await.map(watermark).ok();
                last = seen.clone().map(|at| (at, Instant::now()));
            }
            Err(e) => tracing::warn!("consolidation ended early and begins again later: {e}"),
        }
    }
}

fn told(done: Result<Consolidated, Error>) -> Result<(), Error> {
    let done = done?;
    if !done.archived.is_empty() {
        tracing::info!(archived = done.archived.len(), "consolidated");
    }
    Ok(())
}
