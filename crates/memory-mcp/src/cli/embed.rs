//! `memory-mcp embed`, and the same in the background of `memory-mcp serve`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use memory_core::EpisodeStore;
use memory_core::store::Scope;
use memory_storage::Filled;
use serde_json::json;

use super::output::{self, Output};
use super::session::{LocalMemory, Session};
use super::{Failure, progress};

/// How often a server looks for episodes without an embedding; that costs one small read.
const EVERY: Duration = Duration::from_secs(5);

/// The longest pause after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often to ask whether another process is done.
const ASK_AGAIN: Duration = Duration::from_secs(1);

pub(super) async fn run(
    memory: &Arc<LocalMemory>,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let Some(embeddings) = memory.store().embeddings() else {
        return Err(Failure::usage(
            "embeddings.url is not set, so there is nothing to make embeddings",
        )
        .hint("set it and embeddings.model, for instance to http://127.0.0.1:11434/v1"));
    };
    let total: u64 = memory.store().counts(&Scope::All).await?.episodes.values().sum();
    let there = embeddings.count().await?;
    let bar = progress::records(total);
    let mut done = Filled::default();
    let mut told = false;
    loop {
        let tell = |so_far: &Filled| bar.set_position(there + done.embedded + so_far.embedded);
        let filled = memory.store().embed_missing(tell).await?.unwrap_or_default();
        done.embedded += filled.embedded;
        done.refused += filled.refused;
        if !filled.is_busy {
            break;
        }
        if !told {
            output::say("Another process is making embeddings; waiting for it.");
            told = true;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    bar.finish_and_clear();
    let (now, model) = (embeddings.count().await?, embeddings.model());
    if done.refused > 0 {
        output::warn(format_args!(
            "the endpoint refused the text of {} episodes: they are found by words alone",
            done.refused
        ));
    }
    if out.is_json() {
        return out.json(&json!({
            "model": model,
            "embedded": done.embedded,
            "refused": done.refused,
            "embeddings": now,
            "endpoint": session.config().embeddings.url,
        }));
    }
    out.line(format_args!("{} embedded with {model}; {now} embeddings in all.", done.embedded))
}

/// Makes what is missing, again and again, for as long as the memory is there.
pub(super) async fn keep_up(memory: Weak<LocalMemory>) {
    let mut pause = EVERY;
    loop {
        {
            let Some(memory) = memory.upgrade() else { return };
            let Some(embeddings) = memory.store().embeddings() else { return };
            // Read ahead, so that no recall waits for it.
            let read = embeddings.read_news().await;
            match read.and(memory.store().embed_missing(|_| ()).await) {
                Ok(_) => pause = EVERY,
                Err(e) => {
                    tracing::warn!("embeddings are not made: {e}");
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}
