//! Seeded episodes of realistic size and shape, for tests and benchmarks without data.

use memory_core::{Episode, EpisodeId, Outcome, OutcomeKind, Step, Timestamp};

/// SplitMix64 (Steele, Lea and Flood 2014): the same seed, the same numbers, on every machine.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.bits() % (bound.max(1) as u64)).unwrap_or(0)
    }

    /// One of `items`, or the default of an empty list.
    pub fn pick<T: Copy + Default>(&mut self, items: &[T]) -> T {
        items.get(self.below(items.len())).copied().unwrap_or_default()
    }
}

const VERBS: &[&str] =
    &["fix", "add", "refactor", "speed up", "test", "document", "migrate", "remove", "debug"];
const THINGS: &[&str] = &[
    "login",
    "checkout",
    "parser",
    "scheduler",
    "cache",
    "invoice export",
    "search index",
    "upload",
    "retry loop",
    "date picker",
    "session store",
    "webhook",
    "rate limiter",
    "migration",
    "report",
];
const PLACES: &[&str] =
    &["api", "web client", "worker", "billing service", "mobile app", "build", "staging cluster"];
const TOOLS: &[&str] = &["bash", "edit", "read", "grep", "test"];
const WORDS: &[&str] = &[
    "error",
    "expected",
    "value",
    "timeout",
    "connection",
    "module",
    "line",
    "assertion",
    "passed",
    "failed",
    "warning",
    "deprecated",
    "function",
    "returned",
    "none",
    "index",
    "cursor",
    "commit",
    "branch",
    "token",
    "header",
    "request",
    "response",
    "thread",
    "lock",
    "queue",
    "buffer",
    "offset",
    "schema",
    "column",
    "table",
    "query",
    "socket",
    "handle",
    "panic",
    "overflow",
];

/// An episode of about `bytes` of text, completed; `n` makes its id and wording.
pub fn episode(seed: u64, n: u64, bytes: usize) -> Episode {
    let mut random = Random::new(seed ^ n.wrapping_mul(0xD6E8_FEB8_6659_FD93));
    let id = EpisodeId::derive(&[&seed.to_le_bytes(), &n.to_le_bytes()]);
    let task = format!(
        "{} the {} of the {} (ticket {n})",
        random.pick(VERBS),
        random.pick(THINGS),
        random.pick(PLACES)
    );
    let at = Timestamp(1_750_000_000_000_000 + i64::try_from(n).unwrap_or(0) * 60_000_000);
    let mut episode = Episode::start(id, "default", task, at);
    episode.task_type = random.pick(&["bugfix", "feature", "refactor"]).into();
    episode.context.language = random.pick(&["rust", "python", "typescript", "go"]).into();
    episode.metadata.insert("ticket".into(), i64::try_from(n).unwrap_or(0).into());
    let count = (bytes / 500).clamp(1, 60);
    let observation = (bytes / count).saturating_sub(80);
    for number in 1..=count {
        let success = random.below(5) > 0;
        episode.steps.push(Step {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            tool: random.pick(TOOLS).into(),
            action: format!(
                "{} {} in {}",
                random.pick(TOOLS),
                random.pick(WORDS),
                random.pick(PLACES)
            ),
            observation: words(&mut random, observation),
            success: Some(success),
            error: (!success).then(|| format!("{} {}", random.pick(WORDS), random.pick(WORDS))),
            latency_ms: Some(random.bits() % 5000),
            ..Step::default()
        });
    }
    let kind = random.pick(&[Some(OutcomeKind::Success), Some(OutcomeKind::Failure)]);
    episode.outcome = kind.map(|kind| Outcome::new(kind, "generated"));
    episode.ended_at = Some(Timestamp(at.0 + 30_000_000));
    episode
}

fn words(random: &mut Random, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        text.push_str(random.pick(WORDS));
        text.push(if random.below(12) == 0 { '\n' } else { ' ' });
        if random.below(6) == 0 {
            text.push_str(&(random.bits() % 100_000).to_string());
            text.push(' ');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_valid_episode_of_about_the_size() {
        for bytes in [500, 2_000, 20_000, 200_000] {
            let episode = episode(7, 3, bytes);
            episode.validate().unwrap();
            assert_eq!(episode, super::episode(7, 3, bytes));
            let size: usize = episode.steps.iter().map(Step::size_bytes).sum();
            assert!(size > bytes / 2 && size < bytes * 2, "{size} for {bytes}");
        }
        assert_ne!(episode(7, 3, 500).id, episode(8, 3, 500).id);
    }
}
