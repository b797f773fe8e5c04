//! The lines of a session as an episode.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use memory_core::Timestamp;
use sha2::{Digest, Sha256};

use super::entry::{Block, Entry, Head, Message};
use super::index::{Index, Session, Span};
use crate::import::chat::{arguments, readable_call};
use crate::import::draft::{Draft, DraftStep};
use crate::import::lenient::Scalar;
use crate::import::lines::{Line, LineReader};
use crate::import::reader::{Counted, Source, malformed};
use crate::import::scan::{Fault, MAX_RECORD_BYTES, without_position};
use crate::import::{Format, Malformed};

/// Reads the lines of one session. Those in the files that were written for it come first: where
/// another file repeats a line, theirs counts.
pub(super) struct SessionReader {
    spans: VecDeque<Span>,
    /// The span being read.
    lines: Option<(PathBuf, LineReader<Take<Counted<File>>>)>,
    several_files: bool,
    at_home: bool,
    draft: Draft,
    /// The prompt that started the session, a command in its place, a subagent's in its place.
    prompt: Option<String>,
    command: Option<String>,
    agent_prompt: Option<String>,
    model: Option<String>,
    summary: Option<String>,
    /// Steps of tool calls without an answer, by the call's id.
    open: HashMap<String, usize>,
    seen: HashSet<[u8; 16]>,
    /// The API message whose tokens were counted last: its parts repeat them.
    counted: String,
    messages: u64,
}

impl SessionReader {
    pub(super) fn new(index: &Index, session: &Session) -> Self {
        let mut draft = Draft::new(Format::ClaudeCode, session.id.clone());
        draft.note("session_id", Scalar::Text(session.id.clone()).to_metadata());
        let files: HashSet<usize> = session.spans.iter().map(|span| span.file).collect();
        let (mut home, foreign): (Vec<Span>, Vec<Span>) =
            session.spans.iter().partition(|span| index.is_home(span, session));
        let at_home = !home.is_empty();
        home.extend(foreign);
        SessionReader {
            spans: home.into(),
            lines: None,
            several_files: files.len() > 1,
            at_home,
            draft,
            prompt: None,
            command: None,
            agent_prompt: None,
            model: None,
            summary: None,
            open: HashMap::new(),
            seen: HashSet::new(),
            counted: String::new(),
            messages: 0,
        }
    }

    /// Reads up to the next line that cannot be read; `None` when all lines are.
    pub(super) fn next_malformed(&mut self, index: &Index, source: &Source) -> Option<Malformed> {
        loop {
            let Some((path, lines)) = &mut self.lines else {
                let span = self.spans.pop_front()?;
                let path = index.path(&span);
                match open(path, &span, source) {
                    Ok(lines) => self.lines = Some((path.to_owned(), lines)),
                    Err(e) => {
                        let problem = format!("cannot be read: {e}");
                        return Some(malformed(path, Fault { line: span.first_line, problem }));
                    }
                }
                continue;
            };
            match lines.next_line() {
                None => self.lines = None,
                // Was reported when the file was indexed.
                Some(Err(_)) => {}
                Some(Ok(line)) => {
                    let path = path.clone();
                    if let Some(problem) = self.line(&line, index) {
                        return Some(malformed(&path, line.fault(problem)));
                    }
                }
            }
        }
    }

    /// Takes one line. Returns what of it could not be read.
    fn line(&mut self, line: &Line, index: &Index) -> Option<String> {
        let entry: Entry<'_> = match serde_json::from_str(&line.text) {
            Ok(entry) => entry,
            // What is no entry at all was reported when the file was indexed.
            Err(e) => return Head::parse(&line.text).is_ok().then(|| without_position(&e)),
        };
        let kind = entry.kind.to_text();
        if !matches!(kind.as_str(), "user" | "assistant") || entry.is_meta.to_bool() == Some(true) {
            return None;
        }
        let message = match entry.message() {
            Ok(message) => message,
            Err(problem) => return Some(problem),
        };
        let (blocks, problem) = message.blocks();
        if blocks.is_empty() || !self.is_new(&entry, index) {
            return problem;
        }
        let at = self.timestamp(&entry);
        self.surroundings(&entry);
        if kind == "assistant" {
            self.assistant(&entry, &message, blocks, at);
        } else {
            self.user(&entry, blocks, at);
        }
        problem
    }

    /// A resumed session repeats lines; a line without an id is always new.
    fn is_new(&mut self, entry: &Entry<'_>, index: &Index) -> bool {
        let uuid = entry.uuid.to_text();
        if uuid.is_empty() {
            return true;
        }
        if let Some(summary) = index.summary(&uuid) {
            self.summary = Some(summary.to_owned());
        }
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(Sha256::digest(&uuid)) {
            *to = from;
        }
        self.seen.insert(short)
    }

    fn timestamp(&mut self, entry: &Entry<'_>) -> Option<Timestamp> {
        let at = entry.timestamp.to_text().parse::<Timestamp>().ok()?;
        let draft = &mut self.draft;
        draft.started_at = Some(draft.started_at.map_or(at, |first| first.min(at)));
        draft.ended_at = Some(draft.ended_at.map_or(at, |last| last.max(at)));
        Some(at)
    }

    /// Where the session takes place; the last word counts.
    fn surroundings(&mut self, entry: &Entry<'_>) {
        self.messages += 1;
        if is_sidechain(entry) {
            return;
        }
        self.draft.note("cwd", entry.cwd.to_metadata());
        self.draft.note("git_branch", entry.git_branch.to_metadata());
        self.draft.note("client_version", entry.version.to_metadata());
    }

    fn assistant(
        &mut self,
        entry: &Entry<'_>,
        message: &Message<'_>,
        blocks: Vec<Block<'_>>,
        at: Option<Timestamp>,
    ) {
        let model = message.model.to_text();
        if !model.is_empty() && model != "<synthetic>" && !is_sidechain(entry) {
            self.model = Some(model);
        }
        let id = message.id.to_text();
        let mut tokens = message.usage.tokens().filter(|_| id.is_empty() || id != self.counted);
        self.counted = id;
        for block in blocks {
            let step = match block.kind.to_text().as_str() {
                "text" if block.text.0.trim().is_empty() => continue,
                "text" => self.speech(entry, block),
                "tool_use" | "server_tool_use" => {
                    let call = block.id.to_text();
                    let step =
                        DraftStep { at, tokens: tokens.take(), ..self.tool_call(entry, block) };
                    if let Some(index) = self.draft.push(step) {
                        self.open.insert(call, index);
                    }
                    continue;
                }
                _ => continue,
            };
            self.draft.push(DraftStep { at, tokens: tokens.take(), ..step });
        }
    }

    fn speech(&self, entry: &Entry<'_>, block: Block<'_>) -> DraftStep {
        let failed = entry.is_api_error_message.to_bool() == Some(true);
        DraftStep {
            tool: if is_sidechain(entry) { AGENT.to_owned() } else { String::new() },
            error: failed.then(|| block.text.0.clone()),
            success: failed.then_some(false),
            action: block.text.0,
            ..DraftStep::default()
        }
    }

    fn tool_call(&self, entry: &Entry<'_>, block: Block<'_>) -> DraftStep {
        let name = block.name.to_text();
        let parameters = arguments(block.input);
        let action = readable_call(&name, &parameters);
        let tool = if is_sidechain(entry) { format!("{AGENT}/{name}") } else { name };
        DraftStep { tool, action, parameters, ..DraftStep::default() }
    }

    fn user(&mut self, entry: &Entry<'_>, blocks: Vec<Block<'_>>, at: Option<Timestamp>) {
        let mut said = String::new();
        for block in blocks {
            match block.kind.to_text().as_str() {
                "tool_result" => self.tool_result(block, at),
                "text" => crate::import::lenient::join(&mut said, &block.text.0),
                _ => {}
            }
        }
        if entry.is_compact_summary.to_bool() == Some(true) {
            return;
        }
        let Some(prompt) = prompt_in(&said) else {
            self.command = self.command.take().or_else(|| command_in(&said));
            return;
        };
        if is_sidechain(entry) {
            // The call that started the subagent shows its prompt already.
            self.agent_prompt.get_or_insert(prompt);
        } else if self.prompt.is_none() {
            self.prompt = Some(prompt);
        } else {
            self.draft.user_says(prompt, at);
        }
    }

    fn tool_result(&mut self, block: Block<'_>, at: Option<Timestamp>) {
        let Some(index) = self.open.remove(&block.tool_use_id.to_text()) else { return };
        let failed = block.is_error.to_bool() == Some(true);
        self.draft.answer(index, block.content.0, Some(!failed));
        if let Some(at) = at {
            self.draft.set_latency(index, at);
        }
    }

    /// The episode, or why there is none.
    pub(super) fn finish(mut self) -> Result<Draft, String> {
        if self.several_files {
            self.draft.sort_by_time();
        }
        if let Some(model) = self.model {
            self.draft.note("model", Scalar::Text(model).to_metadata());
        }
        self.draft.outcome.verdict = self.summary.clone().unwrap_or_default();
        let id = self.draft.identity().to_owned();
        // A few lines that strayed into the file of another session must not replace the session.
        let prompt = match self.prompt.or(self.command) {
            Some(prompt) => Some(prompt),
            None if self.at_home => self.agent_prompt.or(self.summary),
            None => {
                let lines = self.messages;
                return Err(format!(
                    "{lines} stray message(s) of session {id}, whose own file is not among those read"
                ));
            }
        };
        self.draft.task = match prompt {
            Some(prompt) => prompt,
            None if self.draft.len() == 0 => return Err(format!("session {id} holds no messages")),
            None => format!("Session {id} (its transcript does not hold the prompt)"),
        };
        Ok(self.draft)
    }
}

fn open(path: &Path, span: &Span, source: &Source) -> io::Result<LineReader<Take<Counted<File>>>> {
    let mut input = source.open(path)?;
    input.input.seek(SeekFrom::Start(span.start))?;
    let input = input.take(span.end - span.start);
    Ok(LineReader::new(input, MAX_RECORD_BYTES, span.start, span.first_line))
}

/// How the steps of a subagent are marked: by the tool that starts it.
pub(crate) const AGENT: &str = "Task";

fn is_sidechain(entry: &Entry<'_>) -> bool {
    entry.is_sidechain.to_bool() == Some(true)
}

/// What the client adds to a user's message, or writes in the user's name.
const NOT_THE_USER: [&str; 14] = [
    "system-reminder",
    "command-name",
    "command-message",
    "command-args",
    "command-contents",
    "local-command-caveat",
    "local-command-stdout",
    "local-command-stderr",
    "bash-input",
    "bash-stdout",
    "bash-stderr",
    "ide_opened_file",
    "ide_selection",
    "task-notification",
];

const CAVEAT: &str = "Caveat: The messages below were generated by the user while running local";

/// The user's own words in a message.
pub(crate) fn prompt_in(said: &str) -> Option<String> {
    let mut text = said.to_owned();
    for tag in NOT_THE_USER {
        while let Some((before, _, after)) = tagged(&text, tag) {
            text = format!("{before}{after}");
        }
    }
    let text = text.trim();
    (!text.is_empty() && !text.starts_with(CAVEAT)).then(|| text.to_owned())
}

/// A slash command with its arguments, as the user typed it.
pub(crate) fn command_in(said: &str) -> Option<String> {
    let (_, name, _) = tagged(said, "command-name")?;
    let arguments = tagged(said, "command-args").map_or("", |(_, arguments, _)| arguments);
    let name = name.trim().trim_start_matches('/');
    (!name.is_empty()).then(|| format!("/{name} {}", arguments.trim()).trim().to_owned())
}

/// What is before, in and after the first element `tag`.
fn tagged<'t>(text: &'t str, tag: &str) -> Option<(&'t str, &'t str, &'t str)> {
    let (before, rest) = text.split_once(&format!("<{tag}>"))?;
    let (inner, after) = rest.split_once(&format!("</{tag}>"))?;
    Some((before, inner, after))
}
