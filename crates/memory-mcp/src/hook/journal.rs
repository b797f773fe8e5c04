//! The files of the sessions: a line for every event, in the order in which the hooks ran.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use memory_core::{EpisodeId, Timestamp};
use serde::{Deserialize, Serialize};

use super::event::{Event, EventKind, Told};
use super::{ProjectFile, episode_of};

/// Bytes of one journal; what comes after is dropped, and the transcript has it.
const MAX_BYTES: u64 = 64 << 20;

/// Endings of file names: a session's events, and what is left to do once they are an episode.
const EVENTS: &str = "events";
const TRANSCRIPT: &str = "transcript";

/// The folder of journals.
#[derive(Debug, Clone)]
pub struct Journal {
    dir: PathBuf,
}

/// Where a session takes place: the first line of its journal, or all of a `transcript` file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionPlace {
    /// The client's id of the session.
    pub session: String,
    /// The project of the episode.
    pub project: String,
    /// The directory it began in.
    pub cwd: String,
    /// The directory of the repository that is in; else that directory itself.
    pub root: String,
    /// The client's transcript of it.
    pub transcript: String,
    /// True when the journal does not begin where the session began.
    #[serde(default)]
    pub resumed: bool,
}

/// A file of the folder.
#[derive(Debug, Clone)]
pub struct Found {
    /// The session's episode.
    pub id: EpisodeId,
    /// Where it is.
    pub path: PathBuf,
    /// True when its events are an episode already and only the transcript is left to be read.
    pub only_transcript: bool,
}

/// What a journal holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorded {
    /// Where it takes place.
    pub place: SessionPlace,
    /// In order.
    pub events: Vec<Event>,
    /// Bytes of the file that were read.
    pub bytes: u64,
}

impl Recorded {
    /// True when the session said that it is over.
    pub fn ended(&self) -> bool {
        self.events.last().is_some_and(|event| event.kind == EventKind::SessionEnd)
    }

    /// True when hooks have told more since.
    pub fn has_grown(&self, found: &Found) -> bool {
        fs::metadata(&found.path).is_ok_and(|file| file.len() > self.bytes)
    }

    /// When the last hook ran.
    pub fn last(&self) -> Timestamp {
        self.events.last().map_or(Timestamp(0), |event| event.at)
    }
}

impl Journal {
    /// The folder of journals in a data directory. Nothing is created yet.
    pub fn in_data_dir(data_dir: &Path) -> Self {
        Journal { dir: data_dir.join("hooks") }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds what was told to the journal of its session. True: it is the session's first line.
    ///
    /// One write of one line in append mode: hooks that run at the same moment do not mix.
    ///
    /// # Errors
    ///
    /// Those of the file system. Nothing was recorded then.
    pub fn append(&self, told: &Told, project: &str, file: &ProjectFile) -> io::Result<bool> {
        private_dir(&self.dir)?;
        let path = self.path(episode_of(&told.session), EVENTS);
        let mut lines = String::new();
        let mut journal = private_file(&path, OpenOptions::new().append(true).create(true))?;
        let bytes = journal.metadata()?.len();
        let first = bytes == 0;
        if first {
            let fresh = matches!(told.event.text.as_str(), "startup" | "clear");
            let place = SessionPlace {
                session: told.session.clone(),
                project: project.to_owned(),
                cwd: told.cwd.clone(),
                root: file.root.display().to_string(),
                transcript: told.transcript.clone(),
                resumed: told.event.kind != EventKind::SessionStart || !fresh,
            };
            lines.push_str(&serde_json::to_string(&place)?);
            lines.push('\n');
        }
        lines.push_str(&serde_json::to_string(&told.event)?);
        lines.push('\n');
        if bytes > MAX_BYTES && told.event.kind != EventKind::SessionEnd {
            return Err(io::Error::other("the journal of this session is full"));
        }
        journal.write_all(lines.as_bytes())?;
        Ok(first)
    }

    /// True when there is any file to settle. Costs one look at a folder that is mostly not there.
    pub fn is_used(&self) -> bool {
        self.dir.is_dir()
    }

    /// Every session's file, the oldest first.
    pub fn sessions(&self) -> Vec<Found> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let mut found: Vec<(Option<std::time::SystemTime>, Found)> = entries
            .flatten()
            .filter_map(|entry| {
                let path = entry.path();
                let ending = path.extension()?.to_str()?;
                let only_transcript = ending == TRANSCRIPT;
                if !only_transcript && ending != EVENTS {
                    return None;
                }
                let id = path.file_stem()?.to_str()?.parse().ok()?;
                let changed = entry.metadata().and_then(|m| m.modified()).ok();
                Some((changed, Found { id, path, only_transcript }))
            })
            .collect();
        found.sort_by_key(|(changed, _)| *changed);
        found.into_iter().map(|(_, found)| found).collect()
    }

    /// What a file holds. Lines that make no sense, such as one torn by a crash, are left out.
    pub fn read(found: &Found) -> io::Result<Recorded> {
        let mut recorded = Recorded::default();
        for line in BufReader::new(File::open(&found.path)?).split(b'\n') {
            let line = line?;
            recorded.bytes += line.len() as u64 + 1;
            if let Ok(event) = serde_json::from_slice::<Event>(&line) {
                recorded.events.push(event);
            } else if recorded.place.session.is_empty()
                && let Ok(place) = serde_json::from_slice::<SessionPlace>(&line)
            {
                recorded.place = place;
            }
        }
        Ok(recorded)
    }

    /// Notes that the events of a session are an episode, and that its transcript is left to be read.
    ///
    /// # Errors
    ///
    /// Those of the file system. The events are still there then.
    pub fn leave_transcript(&self, found: &Found, place: &SessionPlace) -> io::Result<()> {
        let path = self.path(found.id, TRANSCRIPT);
        let mut file =
            private_file(&path, OpenOptions::new().write(true).create(true).truncate(true))?;
        file.write_all(serde_json::to_string(place)?.as_bytes())?;
        fs::remove_file(&found.path)
    }

    /// True when there are events of a session.
    pub fn has_events(&self, id: EpisodeId) -> bool {
        self.path(id, EVENTS).exists()
    }

    /// Deletes one file.
    ///
    /// # Errors
    ///
    /// Those of the file system; that it is not there is none.
    pub fn remove(&self, found: &Found) -> io::Result<()> {
        match fs::remove_file(&found.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Deletes every trace of a session here.
    ///
    /// # Errors
    ///
    /// Those of the file system; that there is nothing is none.
    pub fn forget(&self, id: EpisodeId) -> io::Result<()> {
        for ending in [EVENTS, TRANSCRIPT] {
            match fs::remove_file(self.path(id, ending)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self, id: EpisodeId, ending: &str) -> PathBuf {
        self.dir.join(format!("{id}.{ending}"))
    }
}

/// Makes a directory that only its owner may look into.
pub(crate) fn private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(dir)
}

/// Opens a file that only its owner may read.
pub(crate) fn private_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::event::read;

    fn told(kind: EventKind, json: &str) -> Told {
        read(kind, json.as_bytes(), Timestamp(1)).unwrap()
    }

    #[test]
    fn a_journal_gives_back_what_was_appended_and_survives_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::in_data_dir(dir.path());
        let file = ProjectFile::default();
        let start = told(EventKind::SessionStart, r#"{"session_id":"../s","source":"startup"}"#);
        let prompt = told(EventKind::UserPromptSubmit, r#"{"session_id":"../s","prompt":"fix"}"#);
        assert!(journal.append(&start, "p", &file).unwrap());
        let found = journal.sessions().remove(0);
        let mut raw = OpenOptions::new().append(true).open(&found.path).unwrap();
        raw.write_all(b"{\"at\":\"2026-\n").unwrap();
        assert!(!journal.append(&prompt, "p", &file).unwrap());
        let recorded = Journal::read(&found).unwrap();
        assert_eq!(recorded.events, [start.event, prompt.event]);
        assert_eq!((recorded.place.session.as_str(), recorded.place.resumed), ("../s", false));
        assert_eq!(found.id, episode_of("../s"));
        journal.forget(found.id).unwrap();
        assert!(journal.sessions().is_empty());
    }
}
