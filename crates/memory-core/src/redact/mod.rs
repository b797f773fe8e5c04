//! Secrets are taken out of text before it is stored.
//!
//! What is recognisable becomes `[redacted:KIND]`: keys with a known format, private key blocks,
//! credentials in URLs and headers, and values assigned to names like `password` or `api_key` when
//! they look like a secret rather than like code. Redacting twice changes nothing more.
//!
//! - `formats`: the expressions, one linear pass of a set over clean text
//! - `judge`: whether a value assigned to a telling name is a secret
//! - `json`: strings inside JSON, which stays valid

mod formats;
mod json;
mod judge;

use std::borrow::Cow;

use crate::episode::{Episode, MetadataValue, Step};

/// Redacts every text of an episode in place; returns how many secrets were found.
pub fn redact_episode(episode: &mut Episode) -> usize {
    let mut count = in_place(&mut episode.task_description);
    count += episode.steps.iter_mut().map(redact_step).sum::<usize>();
    count += episode.context.tags.iter_mut().map(in_place).sum::<usize>();
    for (key, value) in &mut episode.metadata {
        if let MetadataValue::Text(text) = value {
            count += named(key, text);
        }
    }
    if let Some(outcome) = &mut episode.outcome {
        count += in_place(&mut outcome.verdict);
    }
    let reflection = &mut episode.reflection;
    for lines in [&mut reflection.worked, &mut reflection.failed, &mut reflection.next_time] {
        count += lines.iter_mut().map(in_place).sum::<usize>();
    }
    count
}

/// Redacts every text of a step in place; returns how many secrets were found.
pub fn redact_step(step: &mut Step) -> usize {
    let mut count = in_place(&mut step.action) + in_place(&mut step.observation);
    if let Some(error) = &mut step.error {
        count += in_place(error);
    }
    if let Some((parameters, found)) = json::redact(&step.parameters) {
        step.parameters = parameters;
        count += found;
    }
    count
}

/// `text` without recognisable secrets; borrowed when there are none.
pub fn redact_text(text: &str) -> Cow<'_, str> {
    formats::redact(text).map_or(Cow::Borrowed(text), |(redacted, _)| Cow::Owned(redacted))
}

fn in_place(text: &mut String) -> usize {
    let Some((redacted, count)) = formats::redact(text) else { return 0 };
    *text = redacted;
    count
}

/// A value under a name: the name may tell what the value does not.
fn named(name: &str, value: &mut String) -> usize {
    match judge::secret_kind(name, value, judge::Form::Quoted) {
        Some(kind) => {
            *value = marker(kind);
            1
        }
        None => in_place(value),
    }
}

fn marker(kind: &str) -> String {
    format!("[redacted:{kind}]")
}

#[cfg(test)]
mod tests;
