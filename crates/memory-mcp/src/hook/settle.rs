//! Journals and transcripts into the memory.

use std::path::{Path, PathBuf};

use memory_core::learning::judged_by_signals;
use memory_core::memory::Intake;
use memory_core::record::Record;
use memory_core::store::Scope;
use memory_core::{
    Episode, EpisodeId, EpisodeStore, Error, Memory, Outcome, OutcomeKind, Result, Step, Timestamp,
};

use super::capture::{self, note_origin};
use super::episode_of;
use super::journal::{Found, Journal, Recorded};
use crate::import::{Format, ImportItem, ImportOptions, Importer, plan};

/// A session that no hook told anything of for this long is over: its client was killed, or the machine
/// went down.
const SILENT_US: i64 = 12 * 3600 * 1_000_000;

/// What is to be read, and what is left for later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Transcripts too: seconds for a long one.
    pub transcripts: bool,
    /// Sessions that go on as well, so that others see how far they are.
    pub running: bool,
}

impl Effort {
    /// What is to be done at once when a session ends.
    pub const QUICK: Effort = Effort { transcripts: false, running: false };
    /// Everything, for a process that has time.
    pub const FULL: Effort = Effort { transcripts: true, running: true };
}

/// What became of the journals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settled {
    /// Episodes written.
    pub written: usize,
    /// Sessions left for another time, because of an error that is in the log.
    pub failed: usize,
}

/// Takes in what hooks left. Safe beside other processes that do the same: the ids are the sessions'.
pub async fn settle<S: EpisodeStore>(
    memory: &Memory<S>,
    journal: &Journal,
    effort: Effort,
) -> Settled {
    let mut settled = Settled::default();
    for found in journal.sessions() {
        match one(memory, journal, &found, effort).await {
            Ok(true) => settled.written += 1,
            Ok(false) => {}
            Err(problem) => {
                settled.failed += 1;
                tracing::warn!(session = %found.id, "what hooks recorded waits: {problem}");
            }
        }
    }
    settled
}

async fn one<S: EpisodeStore>(
    memory: &Memory<S>,
    journal: &Journal,
    found: &Found,
    effort: Effort,
) -> std::result::Result<bool, String> {
    // A session that goes on is settled as a whole when it ends.
    if found.only_transcript && (!effort.transcripts || journal.has_events(found.id)) {
        return Ok(false);
    }
    let recorded = Journal::read(found).map_err(|e| e.to_string())?;
    let silent = memory.now().0.saturating_sub(recorded.last().0) > SILENT_US;
    let over = found.only_transcript || recorded.ended() || silent;
    if !over && !effort.running {
        return Ok(false);
    }
    let transcript = existing(&recorded.place.transcript);
    let from_transcript = match &transcript {
        Some(path) if over && effort.transcripts => {
            read_transcript(path, found.id, &recorded).await
        }
        _ => None,
    };
    let read = from_transcript.is_some();
    if found.only_transcript && !read {
        // What its hooks told is an episode already; more there is not.
        journal.remove(found).map_err(|e| e.to_string())?;
        return Ok(false);
    }
    let episode = match from_transcript {
        Some(episode) => Some(episode),
        None => captured(memory, &recorded).await?,
    };
    let Some(mut episode) = episode else {
        if over && !recorded.has_grown(found) {
            journal.remove(found).map_err(|e| e.to_string())?;
        }
        return Ok(false);
    };
    if !over {
        keep_running(&mut episode);
    }
    let intake = match take_in(memory, episode).await {
        Ok(intake) => intake,
        // Somebody else settled it at this moment.
        Err(Error::Conflict { .. }) => return Ok(false),
        Err(e) => return Err(e.to_string()),
    };
    // A session that was resumed meanwhile goes on in this file.
    if (over && !recorded.has_grown(found)) || intake == Intake::Forgotten {
        let done = read || transcript.is_none() || intake == Intake::Forgotten;
        let kept = if found.only_transcript && intake != Intake::Forgotten {
            // While it was read the session may have been resumed: what that tells stays.
            journal.remove(found)
        } else if done {
            journal.forget(found.id)
        } else {
            journal.leave_transcript(found, &recorded.place)
        };
        kept.map_err(|e| e.to_string())?;
    }
    Ok(matches!(intake, Intake::Added | Intake::Updated))
}

/// Takes an episode in, in the project that it is in already, if it is in one: the session may have been
/// imported before, under another name.
async fn take_in<S: EpisodeStore>(memory: &Memory<S>, mut episode: Episode) -> Result<Intake> {
    let id = episode.id;
    let take = |episode| memory.take_in(vec![Record::Episode(Box::new(episode))]);
    let taken = take(episode.clone()).await?.into_iter().next().unwrap_or(Ok(Intake::Unchanged));
    if !matches!(&taken, Err(Error::Invalid { field, .. }) if field == "project") {
        return taken;
    }
    let stored = memory.store().get(&Scope::All, &[id]).await?.into_iter().next().flatten();
    let Some(stored) = stored else { return taken };
    episode.project.clone_from(&stored.project);
    take(episode).await?.into_iter().next().unwrap_or(Ok(Intake::Unchanged))
}

fn existing(transcript: &str) -> Option<PathBuf> {
    let path = Path::new(transcript);
    (!transcript.is_empty() && path.is_file()).then(|| path.to_owned())
}

/// The session's episode as its transcript tells it; `None` when that cannot be read or tells of none.
async fn read_transcript(path: &Path, id: EpisodeId, recorded: &Recorded) -> Option<Episode> {
    let (paths, project) = (vec![path.to_owned()], recorded.place.project.clone());
    let default_time = recorded.events.first().map_or(Timestamp(0), |event| event.at);
    let read = move || {
        let mut plan = plan(&paths).ok()?;
        plan.files.retain(|file| file.format == Format::ClaudeCode);
        Importer::new(plan, ImportOptions { project, default_time }).find_map(|item| match item {
            Ok(ImportItem::Episode(episode)) if episode.id == id => Some(*episode),
            _ => None,
        })
    };
    // Seconds of reading must not keep a server from answering.
    let mut episode = tokio::task::spawn_blocking(read).await.ok().flatten()?;
    note_origin(&mut episode, recorded, "transcript");
    Some(episode)
}

/// The episode of a journal. One that begins in the middle of a session goes on where what is stored
/// ends.
async fn captured<S: EpisodeStore>(
    memory: &Memory<S>,
    recorded: &Recorded,
) -> std::result::Result<Option<Episode>, String> {
    if recorded.events.is_empty() {
        return Ok(None);
    }
    if !recorded.place.resumed {
        return capture::episode(recorded, "");
    }
    let stored = memory.store().get(&Scope::All, &[episode_of(&recorded.place.session)]).await;
    let Some(stored) = stored.map_err(|e| e.to_string())?.into_iter().next().flatten() else {
        return capture::episode(recorded, "");
    };
    let Some(mut episode) = capture::episode(recorded, &stored.task_description)? else {
        return Ok(None);
    };
    let begins = episode.started_at;
    let mut steps: Vec<Step> =
        stored.steps.iter().filter(|step| step.at.is_none_or(|at| at < begins)).cloned().collect();
    steps.append(&mut episode.steps);
    for (i, step) in steps.iter_mut().enumerate() {
        step.number = u32::try_from(i + 1).unwrap_or(u32::MAX);
    }
    episode.steps = steps;
    episode.started_at = stored.started_at;
    // Signs may be in both parts.
    let unjudged = || Outcome::new(OutcomeKind::Unjudged, "");
    episode.outcome = Some(judged_by_signals(&episode).unwrap_or_else(unjudged));
    episode.validate().map_err(|e| e.to_string())?;
    Ok(Some(episode))
}

/// The same content is another state while the session goes on.
fn keep_running(episode: &mut Episode) {
    episode.outcome = None;
    episode.reward = None;
    episode.ended_at = None;
    if let Some(source) = &mut episode.source {
        source.digest.push_str("-running");
    }
}
