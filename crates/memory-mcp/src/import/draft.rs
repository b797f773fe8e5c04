//! An episode while it is being put together: texts are cleaned, cut to the limits with a note, and
//! numbered; what comes out satisfies [`Episode::validate`] or is refused with the reason.

use std::collections::BTreeMap;

use memory_core::episode::limits::{
    MAX_EPISODE_BYTES, MAX_FIELD_BYTES, MAX_METADATA_BYTES, MAX_NAME_BYTES, MAX_STEPS,
    MAX_TASK_BYTES, MAX_TEXT_BYTES,
};
use memory_core::learning::judged_by_signals;
use memory_core::{
    Context, Episode, EpisodeId, MetadataValue, Outcome, OutcomeKind, RawJson, Reward,
    RewardSource, Source, Step, Timestamp,
};
use sha2::{Digest, Sha256};

use super::{Format, ImportOptions};

/// Room that every limit leaves for the note about a cut, and for what redaction may add.
const SLACK_BYTES: usize = 4 * 1024;

/// Bytes of steps in one imported episode; the rest of the limit is for the task and for slack.
const MAX_STEPS_BYTES: usize = MAX_EPISODE_BYTES - MAX_TASK_BYTES - 64 * 1024;

/// A text that may have been cut.
#[derive(Debug, Default)]
struct Clip {
    text: String,
    source_bytes: usize,
}

impl Clip {
    fn new(text: String, max: usize) -> Self {
        let mut clip = Clip { source_bytes: text.len(), text };
        clip.shrink(max);
        clip
    }

    fn shrink(&mut self, max: usize) {
        if self.text.len() > max {
            self.text.truncate(self.text.floor_char_boundary(max));
            self.text.shrink_to_fit();
        }
    }

    fn is_cut(&self) -> bool {
        self.text.len() < self.source_bytes
    }

    fn render(&self) -> String {
        if !self.is_cut() {
            return self.text.clone();
        }
        let (source, kept) = (self.source_bytes, self.text.len());
        format!("{}\n[cut: {source} bytes in the source, the first {kept} kept]", self.text)
    }

    /// As JSON: to the letter when it is whole and sound, else as a string.
    fn render_json(&self) -> RawJson {
        if !self.is_cut()
            && let Ok(json) = RawJson::parse(&self.text)
        {
            return json;
        }
        RawJson::try_from(&serde_json::Value::String(self.render())).unwrap_or_default()
    }
}

/// What an importer knows of one step.
#[derive(Debug, Default)]
pub(crate) struct DraftStep {
    pub(crate) tool: String,
    pub(crate) action: String,
    /// JSON text; empty when there are none.
    pub(crate) parameters: String,
    pub(crate) observation: String,
    pub(crate) success: Option<bool>,
    pub(crate) error: Option<String>,
    pub(crate) latency_ms: Option<u64>,
    pub(crate) tokens: Option<u64>,
    pub(crate) at: Option<Timestamp>,
}

#[derive(Debug)]
struct HeldStep {
    tool: String,
    action: Clip,
    parameters: Clip,
    observation: Clip,
    error: Option<Clip>,
    success: Option<bool>,
    latency_ms: Option<u64>,
    tokens: Option<u64>,
    at: Option<Timestamp>,
}

impl HeldStep {
    fn clips(&mut self) -> impl Iterator<Item = &mut Clip> {
        [&mut self.action, &mut self.parameters, &mut self.observation]
            .into_iter()
            .chain(&mut self.error)
    }

    fn bytes(&mut self) -> usize {
        self.clips().map(|clip| clip.text.len()).sum()
    }

    fn render(&self, number: usize) -> Step {
        Step {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            tool: self.tool.clone(),
            action: self.action.render(),
            parameters: if self.parameters.text.is_empty() {
                RawJson::default()
            } else {
                self.parameters.render_json()
            },
            observation: self.observation.render(),
            success: self.success,
            error: self.error.as_ref().map(Clip::render),
            latency_ms: self.latency_ms,
            tokens: self.tokens,
            at: self.at,
        }
    }
}

/// An episode being put together. Holds at most a few times the size limit of an episode, however
/// long the source is.
pub(crate) struct Draft {
    format: Format,
    identity: String,
    pub(crate) task: String,
    pub(crate) task_type: String,
    pub(crate) context: Context,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) outcome: Outcome,
    reward: Option<Reward>,
    metadata: BTreeMap<String, MetadataValue>,
    steps: Vec<HeldStep>,
    held_bytes: usize,
    /// Bytes kept of each text, smaller the more there is.
    cap: usize,
    dropped_steps: u64,
    nul_characters: u64,
}

impl Draft {
    /// Nothing but the name of the run; the outcome is unjudged until told.
    pub(crate) fn new(format: Format, identity: impl Into<String>) -> Self {
        Draft {
            format,
            identity: identity.into(),
            task: String::new(),
            task_type: String::new(),
            context: Context::default(),
            started_at: None,
            ended_at: None,
            outcome: Outcome::new(OutcomeKind::Unjudged, ""),
            reward: None,
            metadata: BTreeMap::new(),
            steps: Vec::new(),
            held_bytes: 0,
            cap: MAX_FIELD_BYTES - SLACK_BYTES,
            dropped_steps: 0,
            nul_characters: 0,
        }
    }

    /// Adds a step, unless there is nothing in it. Returns its index.
    pub(crate) fn push(&mut self, mut step: DraftStep) -> Option<usize> {
        if step.tool.trim().is_empty() && step.action.trim().is_empty() {
            if step.observation.trim().is_empty() {
                return None;
            }
            step.action = "(no action)".to_owned();
        }
        if self.steps.len() >= MAX_STEPS - 1 {
            self.dropped_steps += 1;
            return None;
        }
        let cap = self.cap;
        let mut held = HeldStep {
            tool: self.name(step.tool),
            action: Clip::new(self.clean(step.action), cap.min(MAX_TEXT_BYTES - SLACK_BYTES)),
            parameters: Clip::new(step.parameters, cap),
            observation: Clip::new(self.clean(step.observation), cap),
            error: step.error.map(|e| Clip::new(self.clean(e), cap)),
            success: step.success,
            latency_ms: step.latency_ms,
            tokens: step.tokens,
            at: step.at,
        };
        self.held_bytes += held.bytes();
        self.steps.push(held);
        self.bound_held_bytes();
        Some(self.steps.len() - 1)
    }

    /// A user's words answer what the agent said last; without that they are a step of their own.
    pub(crate) fn user_says(&mut self, text: String, at: Option<Timestamp>) {
        let last = self.steps.len().checked_sub(1);
        if let Some(last) = last.filter(|&last| self.is_unanswered_talk(last)) {
            self.answer(last, text, None);
        } else if !text.trim().is_empty() {
            self.push(DraftStep { action: format!("User: {text}"), at, ..DraftStep::default() });
        }
    }

    /// What came back for a step pushed earlier.
    pub(crate) fn answer(&mut self, index: usize, observation: String, success: Option<bool>) {
        let observation = self.clean(observation);
        let cap = self.cap;
        let Some(step) = self.steps.get_mut(index) else { return };
        if success == Some(false) {
            step.error = error_line(&observation).map(|e| Clip::new(e, cap));
        }
        step.success = success;
        self.held_bytes += observation.len().min(cap);
        step.observation = Clip::new(observation, cap);
        self.bound_held_bytes();
    }

    /// When the answer to a step came, after it was asked at its own time.
    pub(crate) fn set_latency(&mut self, index: usize, answered: Timestamp) {
        if let Some(step) = self.steps.get_mut(index)
            && let Some(asked) = step.at
        {
            step.latency_ms = u64::try_from((answered.0.saturating_sub(asked.0)) / 1000).ok();
        }
    }

    /// What names the run in its source.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// True when the step at `index` is speech that nobody answered yet.
    fn is_unanswered_talk(&self, index: usize) -> bool {
        self.steps.get(index).is_some_and(|s| {
            s.tool.is_empty() && s.observation.source_bytes == 0 && s.success.is_none()
        })
    }

    /// Number of steps so far.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The observation of the last step, as far as it was kept.
    pub(crate) fn last_observation(&self) -> &str {
        self.steps.last().map_or("", |step| &step.observation.text)
    }

    /// Orders steps by their time; those without one stay behind the step before them.
    pub(crate) fn sort_by_time(&mut self) {
        let mut last = None;
        let mut keyed: Vec<_> = std::mem::take(&mut self.steps)
            .into_iter()
            .map(|step| {
                last = step.at.or(last);
                (last, step)
            })
            .collect();
        keyed.sort_by_key(|(at, _)| *at);
        self.steps = keyed.into_iter().map(|(_, step)| step).collect();
    }

    /// Adds a metadata value, cut to its limit.
    pub(crate) fn note(&mut self, key: &str, value: impl Into<Option<MetadataValue>>) {
        if let Some(mut value) = value.into() {
            if let MetadataValue::Text(text) = &mut value {
                let cleaned = self.clean(std::mem::take(text));
                *text = cut_with_ellipsis(cleaned, MAX_METADATA_BYTES);
            }
            self.metadata.insert(key.to_owned(), value);
        }
    }

    /// Takes the environment's reward and what it says about the outcome. Without a usable reward
    /// the run stays unjudged.
    pub(crate) fn judge(&mut self, reward: Option<f64>, verdict: impl Into<String>) {
        let Some(reward) = reward else { return };
        // Sums of weights may miss 1 by a rounding error.
        let score = if reward > 1.0 && reward < 1.0 + 1e-6 { 1.0 } else { reward };
        if !(0.0..=1.0).contains(&score) {
            self.outcome.verdict = format!("the source gives a reward of {reward}, outside 0 to 1");
            return;
        }
        self.outcome = Outcome::new(OutcomeKind::from_reward(score), verdict);
        let source = RewardSource::Environment;
        self.reward = Some(Reward { score, source, components: BTreeMap::new() });
    }

    /// The finished episode, or why it cannot be one.
    pub(crate) fn finish(mut self, options: &ImportOptions) -> Result<Episode, String> {
        let task = std::mem::take(&mut self.task);
        let task = self.clean(task);
        let task = Clip::new(task.trim().to_owned(), MAX_TASK_BYTES - SLACK_BYTES).render();
        let steps = self.rendered_steps();
        let verdict = std::mem::take(&mut self.outcome.verdict);
        let verdict = self.clean(verdict);
        self.outcome.verdict = Clip::new(verdict, MAX_TEXT_BYTES - SLACK_BYTES).render();
        self.task_type = cut_with_ellipsis(std::mem::take(&mut self.task_type), MAX_NAME_BYTES);
        self.note_changes();

        let id = EpisodeId::derive(&[self.format.name().as_bytes(), self.identity.as_bytes()]);
        let mut episode = Episode::start(id, "", task, self.started_at.unwrap_or_default());
        episode.task_type = self.task_type;
        episode.context = self.context;
        episode.ended_at = self.ended_at;
        episode.steps = steps;
        episode.outcome = Some(self.outcome);
        episode.reward = self.reward;
        episode.metadata = self.metadata;
        let digest = digest_of(&episode)?;
        if self.format == Format::ClaudeCode {
            judge(&mut episode);
        }
        // Neither the project nor the time of the import belongs to what the source says.
        episode.project.clone_from(&options.project);
        episode.started_at = self.started_at.unwrap_or(options.default_time);
        episode.ended_at = self.ended_at.or(Some(episode.started_at));
        let format = self.format.name().to_owned();
        episode.source = Some(Source { format, identity: self.identity, digest });
        episode.validate().map_err(|e| e.to_string())?;
        Ok(episode)
    }

    /// The steps, cut further until they fit into one episode.
    fn rendered_steps(&mut self) -> Vec<Step> {
        loop {
            let mut steps: Vec<Step> =
                self.steps.iter().enumerate().map(|(i, step)| step.render(i + 1)).collect();
            if steps.iter().map(Step::size_bytes).sum::<usize>() > MAX_STEPS_BYTES && self.cap > 1 {
                self.halve_cap();
                continue;
            }
            if self.dropped_steps > 0 {
                let total = self.dropped_steps + self.steps.len() as u64;
                steps.push(Step {
                    number: u32::try_from(steps.len() + 1).unwrap_or(u32::MAX),
                    action: format!(
                        "[cut: {total} steps in the source, the first {} kept]",
                        self.steps.len()
                    ),
                    ..Step::default()
                });
            }
            return steps;
        }
    }

    /// What the importer changed is filed with the episode.
    fn note_changes(&mut self) {
        let count = |n: u64| MetadataValue::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        let cut = self.steps.iter_mut().flat_map(HeldStep::clips).filter(|c| c.is_cut()).count();
        for (key, n) in [
            ("import_nul_escaped", self.nul_characters),
            ("import_texts_cut", cut as u64),
            ("import_steps_dropped", self.dropped_steps),
        ] {
            if n > 0 {
                self.metadata.insert(key.to_owned(), count(n));
            }
        }
    }

    fn bound_held_bytes(&mut self) {
        while self.held_bytes > 2 * MAX_EPISODE_BYTES && self.cap > 1 {
            self.halve_cap();
        }
    }

    fn halve_cap(&mut self) {
        self.cap /= 2;
        let cap = self.cap;
        self.steps.iter_mut().flat_map(HeldStep::clips).for_each(|clip| clip.shrink(cap));
        self.held_bytes = self.steps.iter_mut().map(HeldStep::bytes).sum();
    }

    /// NUL cannot be stored in text columns: it becomes the two characters `\0`.
    fn clean(&mut self, text: String) -> String {
        let found = text.bytes().filter(|&b| b == 0).count();
        if found == 0 {
            return text;
        }
        self.nul_characters += found as u64;
        text.replace('\0', "\\0")
    }

    fn name(&mut self, name: String) -> String {
        let cleaned = self.clean(name.trim().to_owned());
        cut_with_ellipsis(cleaned, MAX_NAME_BYTES)
    }
}

/// Nobody judges a session, but it may tell itself how it ended. That follows from the rest, so it is no
/// part of the digest.
fn judge(episode: &mut Episode) {
    let Some(mut told) = judged_by_signals(episode) else { return };
    if let Some(outcome) = episode.outcome.as_ref().filter(|o| !o.verdict.is_empty()) {
        told.verdict = format!("{}; {}", told.verdict, outcome.verdict);
    }
    episode.outcome = Some(told);
}

/// The line of a failed step's observation that says what went wrong: a traceback's last, else the
/// first.
pub(crate) fn error_line(observation: &str) -> Option<String> {
    const MAX_ERROR_BYTES: usize = 500;
    let mut lines = observation.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    // Shells and clients begin with it; what went wrong comes after.
    let says_little = |line: &&str| {
        let code = line.strip_prefix("Exit code ");
        code.is_some_and(|code| code.bytes().all(|b| b.is_ascii_digit()))
    };
    let first = lines.next_if(says_little);
    let traceback = observation.contains("Traceback (most recent call last)");
    let line = if traceback { lines.next_back() } else { lines.next() };
    line.or(first).map(|line| cut_with_ellipsis(line.to_owned(), MAX_ERROR_BYTES))
}

/// What names a run by its content: the hex SHA-256 (first 16 bytes) of its parts and their
/// borders. The parts are decoded texts, so that a file written anew is the same run.
#[derive(Default)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(crate) fn part(mut self, part: &str) -> Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// JSON text, whatever white space is between its parts.
    pub(crate) fn json(self, json: &str) -> Self {
        self.part(&compact(json))
    }

    pub(crate) fn finish(self) -> String {
        self.0.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// JSON without the white space between its parts, so that a reformatted file is the same run.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|&c| {
            if in_string {
                in_string = escaped || c != '"';
                escaped = !escaped && c == '\\';
                return true;
            }
            in_string = c == '"';
            !c.is_ascii_whitespace()
        })
        .collect()
}

/// Digest of all that was imported, whatever the project and the time of the import.
fn digest_of(episode: &Episode) -> Result<String, String> {
    let json = serde_json::to_string(episode).map_err(|e| e.to_string())?;
    Ok(Fingerprint::default().part(&json).finish())
}

fn cut_with_ellipsis(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max - '…'.len_utf8()));
        text.push('…');
    }
    text
}
