//! A journal as an episode, in the form that the session's transcript gets too.

use memory_core::{Episode, MetadataValue, Timestamp};

use super::event::{Event, EventKind};
use super::journal::Recorded;
use crate::import::claude_code::{AGENT, command_in, prompt_in};
use crate::import::draft::{Draft, DraftStep};
use crate::import::{Format, ImportOptions};

/// The episode; `None` when nothing was asked and nothing done. `task`: what it began with, when that was
/// recorded earlier.
///
/// # Errors
///
/// Why it cannot be one.
pub(super) fn episode(recorded: &Recorded, task: &str) -> Result<Option<Episode>, String> {
    let place = &recorded.place;
    let mut draft = Draft::new(Format::ClaudeCode, place.session.clone());
    draft.task = task.to_owned();
    let text = |text: &str| (!text.is_empty()).then(|| MetadataValue::Text(text.to_owned()));
    draft.note("session_id", text(&place.session));
    draft.note("cwd", text(&place.cwd));
    draft.started_at = recorded.events.first().map(|event| event.at);
    draft.ended_at = recorded.events.last().map(|event| event.at);
    let mut command = None;
    for event in &recorded.events {
        match event.kind {
            EventKind::UserPromptSubmit => match prompt_in(&event.text) {
                Some(prompt) if draft.task.is_empty() => draft.task = prompt,
                Some(prompt) => draft.user_says(prompt, Some(event.at)),
                None => command = command.or_else(|| command_in(&event.text)),
            },
            EventKind::Stop if !event.text.trim().is_empty() => {
                let step = DraftStep {
                    tool: if event.subagent { AGENT.to_owned() } else { String::new() },
                    action: event.text.clone(),
                    at: Some(event.at),
                    ..DraftStep::default()
                };
                draft.push(step);
            }
            EventKind::PostToolUse | EventKind::PostToolUseFailure => {
                draft.push(step(event));
            }
            EventKind::SessionStart | EventKind::SessionEnd | EventKind::Stop => {}
        }
    }
    if draft.task.is_empty() {
        draft.task = match command {
            Some(command) => command,
            None if draft.len() == 0 => return Ok(None),
            None => format!("Session {} (what was asked was not recorded)", place.session),
        };
    }
    let options = ImportOptions {
        project: place.project.clone(),
        default_time: draft.started_at.unwrap_or(Timestamp(0)),
    };
    let mut episode = draft.finish(&options)?;
    note_origin(&mut episode, recorded, "hooks");
    Ok(Some(episode))
}

/// Says with the episode where its texts are from, and for which directory it helps. No part of the
/// digest: the transcript by itself gives the same one.
pub(super) fn note_origin(episode: &mut Episode, recorded: &Recorded, from: &str) {
    let mut note = |key: &str, value: &str| {
        if !value.is_empty() {
            episode.metadata.insert(key.to_owned(), MetadataValue::Text(value.to_owned()));
        }
    };
    note("recorded_from", from);
    note("project_root", &recorded.place.root);
}

fn step(event: &Event) -> DraftStep {
    let step = event.step.clone().unwrap_or_default();
    let tool = if event.subagent { format!("{AGENT}/{}", step.tool) } else { step.tool };
    DraftStep {
        tool,
        action: step.action,
        parameters: match step.parameters.as_str() {
            "null" => String::new(),
            json => json.to_owned(),
        },
        observation: step.observation,
        success: step.success,
        error: step.error,
        latency_ms: step.latency_ms,
        tokens: step.tokens,
        at: step.at,
    }
}
