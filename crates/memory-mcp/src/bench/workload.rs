//! The episodes that are saved and loaded.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use memory_core::store::{Save, Write};
use memory_core::{Episode, EpisodeId, Timestamp, WriteId};
use memory_testkit::generate::{self, Random};

use crate::import::{ImportItem, ImportOptions, Importer, plan};

const SEED: u64 = 0xAB;

/// Bytes of text of generated episodes, each as frequent: those of recorded runs of four kinds of
/// agents, from the smallest tenth to the largest.
const SIZES: [usize; 10] = [800, 1_200, 1_600, 2_000, 2_600, 3_400, 4_500, 6_000, 10_000, 20_000];

/// Where episodes come from.
pub(crate) struct Workload {
    templates: Vec<Episode>,
    /// For the report.
    pub(crate) name: String,
}

impl Workload {
    /// The recorded runs below `data`; without any, generated episodes.
    pub(crate) fn new(data: &Path) -> Result<Self> {
        let mut recorded = if data.is_dir() { recorded(data)? } else { Vec::new() };
        if recorded.is_empty() {
            return Ok(Self::generated());
        }
        // Files hold one kind of run each; the first so many of a workload are to be like the others.
        let mut random = Random::new(SEED);
        for place in (1..recorded.len()).rev() {
            recorded.swap(place, random.below(place + 1));
        }
        let name = format!("{} recorded runs", recorded.len());
        Ok(Workload { templates: recorded, name })
    }

    /// Episodes of the size and shape of recorded runs, from a seed.
    pub(crate) fn generated() -> Self {
        let templates = (0u64..200)
            .zip(SIZES.iter().cycle())
            .map(|(n, bytes)| generate::episode(SEED, n, *bytes))
            .collect();
        Workload { templates, name: "generated episodes, 0.8 to 20 KB of text".into() }
    }

    /// Episode number `n` of a project: always the same.
    pub(crate) fn episode(&self, project: &str, n: u64) -> Arc<Episode> {
        let len = self.templates.len().max(1) as u64;
        let place = usize::try_from(n % len).unwrap_or(0);
        let template = self.templates.get(place);
        let mut episode = template.cloned().unwrap_or_else(|| generate::episode(SEED, n, 2_000));
        episode.id = id(project, n);
        project.clone_into(&mut episode.project);
        let number = i64::try_from(n).unwrap_or(0);
        episode.metadata.insert("ticket".into(), number.into());
        // A minute apart, whatever the template's time was.
        let began = Timestamp(1_750_000_000_000_000 + number * 60_000_000);
        let shift = began.0 - episode.started_at.0;
        episode.ended_at = episode.ended_at.map(|at| Timestamp(at.0 + shift));
        for step in &mut episode.steps {
            step.at = step.at.map(|at| Timestamp(at.0 + shift));
        }
        episode.started_at = began;
        Arc::new(episode)
    }

    /// Episodes `from..to` of a project, as writes that save them for the first time.
    pub(crate) fn saves(&self, project: &str, numbers: std::ops::Range<u64>) -> Vec<Write> {
        numbers.map(|n| save_of(self.episode(project, n))).collect()
    }
}

/// The id of episode number `n` of a project.
pub(crate) fn id(project: &str, n: u64) -> EpisodeId {
    EpisodeId::derive(&[project.as_bytes(), &n.to_le_bytes()])
}

/// The write that saves it for the first time.
pub(crate) fn save_of(episode: Arc<Episode>) -> Write {
    let write_id = WriteId::derive(&[episode.id.as_bytes()]);
    Write::Save(Save { episode, base: 0, write_id, lessons: Vec::new() })
}

/// The runs as an import makes them.
fn recorded(data: &Path) -> Result<Vec<Episode>> {
    let options = ImportOptions { project: "default".into(), default_time: Timestamp(0) };
    let items = Importer::new(plan(&[data.to_owned()])?, options);
    Ok(items
        .filter_map(|item| match item {
            Ok(ImportItem::Episode(episode)) => Some(*episode),
            _ => None,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn episodes_are_valid_and_always_the_same() {
        let workload = Workload::generated();
        for n in 0..20 {
            let episode = workload.episode("p", n);
            episode.validate().unwrap();
            assert_eq!(episode, workload.episode("p", n));
            assert_ne!(episode.id, workload.episode("q", n).id);
        }
    }
}
