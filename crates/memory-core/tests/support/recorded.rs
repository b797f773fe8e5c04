//! Recorded runs of real agents, from the folder beside the project.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

use std::path::PathBuf;

use memory_core::learning::{LessonStats, ScoredLesson};
use memory_core::{Episode, EpisodeId, Outcome, OutcomeKind, RawJson, Reward, RewardSource, Step};
use serde_json::Value;

use crate::support::{Index, NOW};

/// The folder of recorded runs beside the project, if it is there.
pub(crate) fn recorded_runs() -> Option<PathBuf> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !dir.is_dir() {
        println!("skipped: no recorded runs at {}", dir.display());
        return None;
    }
    Some(dir)
}

/// The lessons of all episodes with their statistics.
pub(crate) fn scored_lessons(index: &Index) -> Vec<ScoredLesson> {
    index
        .lessons
        .values()
        .map(|(lesson, evidence)| ScoredLesson {
            lesson: lesson.clone(),
            stats: LessonStats {
                uses: evidence.len() as u64,
                successes: evidence.iter().filter(|e| e.success).count() as u64,
                last_seen: evidence.iter().map(|e| e.at).max().unwrap(),
                ..LessonStats::default()
            },
            evidence: evidence.iter().take(5).map(|e| e.episode).collect(),
        })
        .collect()
}

/// The same numbers in every run (xorshift, Marsaglia 2003).
pub(crate) struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Random(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Runs of one intercode file, its name in the domain.
pub(crate) fn intercode(text: &str, file: &str, tool: &str) -> Vec<Episode> {
    let runs: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap();
    let episode = |(key, run): (String, Value)| {
        let id = EpisodeId::derive(&[file.as_bytes(), key.as_bytes()]);
        let task = run["query"].as_str().unwrap();
        let mut episode = Episode::start(id, "default", task, NOW);
        episode.task_type = tool.into();
        episode.context.language = tool.into();
        episode.context.tags = vec![file.into()];
        let turns = &run["turn_history"];
        let list = |name: &str| turns[name].as_array().cloned().unwrap_or_default();
        let (seen, valid) = (list("observations"), list("valid_action"));
        for (i, action) in list("actions").into_iter().enumerate() {
            let observation = match &seen[i] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            episode.steps.push(Step {
                number: i as u32 + 1,
                tool: tool.into(),
                action: action.as_str().unwrap_or("").into(),
                observation,
                success: valid[i].as_bool(),
                parameters: RawJson::parse(&format!("{{\"reward\":{}}}", turns["rewards"][i]))
                    .unwrap(),
                ..Step::default()
            });
        }
        let score = run["summary"]["max_reward"].as_f64().unwrap();
        episode.outcome = Some(Outcome::new(OutcomeKind::from_reward(score), ""));
        let components = Default::default();
        episode.reward = Some(Reward { score, source: RewardSource::Environment, components });
        episode.ended_at = Some(NOW);
        episode
    };
    runs.into_iter().map(episode).collect()
}
