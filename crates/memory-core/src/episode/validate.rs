//! The rules an episode must satisfy before it may be stored.

use super::limits::*;
use super::{Context, Episode, MetadataValue, Outcome, OutcomeKind, Reflection, Reward, Step};
use crate::error::{Error, Result, excerpt};

/// Non-empty text without NUL, of at most `max` bytes.
fn required(field: &str, text: &str, max: usize) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::invalid(field, "is empty; say in a few words what it is"));
    }
    optional(field, text, max)
}

/// Text without NUL, of at most `max` bytes.
fn optional(field: &str, text: &str, max: usize) -> Result<()> {
    if text.len() > max {
        let problem = format!("is {} bytes long, the limit is {max}; shorten it", text.len());
        return Err(Error::invalid(field, problem));
    }
    if let Some(at) = text.find('\0') {
        let problem = format!(
            "contains a NUL character at byte {at} (\"{}\"); remove it or write it as \\0",
            excerpt(text)
        );
        return Err(Error::invalid(field, problem));
    }
    Ok(())
}

fn at_most(field: &str, count: usize, max: usize) -> Result<()> {
    if count > max {
        return Err(Error::invalid(field, format!("has {count} entries, the limit is {max}")));
    }
    Ok(())
}

impl Episode {
    /// Checks every field against the rules and limits of [`limits`](super::limits).
    pub fn validate(&self) -> Result<()> {
        required("project", &self.project, MAX_NAME_BYTES)?;
        optional("task_type", &self.task_type, MAX_NAME_BYTES)?;
        required("task_description", &self.task_description, MAX_TASK_BYTES)?;
        self.context.validate()?;
        at_most("steps", self.steps.len(), MAX_STEPS)?;
        let mut bytes = self.task_description.len();
        for (i, step) in self.steps.iter().enumerate() {
            step.validate().map_err(|e| e.within(&format!("steps[{i}]")))?;
            bytes += step.size_bytes();
        }
        if bytes > MAX_EPISODE_BYTES {
            let problem = format!(
                "hold {bytes} bytes of text, the limit of one episode is {MAX_EPISODE_BYTES}; \
                 shorten observations or split the work into several episodes"
            );
            return Err(Error::invalid("steps", problem));
        }
        if let Some(outcome) = &self.outcome {
            outcome.validate()?;
        }
        if let Some(reward) = &self.reward {
            reward.validate()?;
        }
        self.reflection.validate()?;
        self.validate_metadata()
    }

    fn validate_metadata(&self) -> Result<()> {
        at_most("metadata", self.metadata.len(), MAX_METADATA_KEYS)?;
        for (key, value) in &self.metadata {
            required("metadata key", key, MAX_METADATA_BYTES)?;
            match value {
                MetadataValue::Text(text) => {
                    optional(&format!("metadata[{}]", excerpt(key)), text, MAX_METADATA_BYTES)?;
                }
                MetadataValue::Real(x) if !x.is_finite() => {
                    let problem = format!("is {x}; numbers must be finite");
                    return Err(Error::invalid(format!("metadata[{}]", excerpt(key)), problem));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Context {
    fn validate(&self) -> Result<()> {
        optional("context.domain", &self.domain, MAX_NAME_BYTES)?;
        optional("context.language", &self.language, MAX_NAME_BYTES)?;
        optional("context.framework", &self.framework, MAX_NAME_BYTES)?;
        at_most("context.tags", self.tags.len(), MAX_TAGS)?;
        self.tags.iter().try_for_each(|tag| required("context.tags", tag, MAX_NAME_BYTES))
    }
}

impl Step {
    /// Checks one step, whether it belongs to an episode yet or not.
    pub fn validate(&self) -> Result<()> {
        optional("tool", &self.tool, MAX_NAME_BYTES)?;
        optional("action", &self.action, MAX_TEXT_BYTES)?;
        if self.tool.trim().is_empty() && self.action.trim().is_empty() {
            return Err(Error::invalid(
                "action",
                "is empty, and so is the tool; name at least one",
            ));
        }
        optional("observation", &self.observation, MAX_FIELD_BYTES)?;
        optional("error", self.error.as_deref().unwrap_or(""), MAX_FIELD_BYTES)?;
        optional("parameters", self.parameters.as_str(), MAX_FIELD_BYTES)
    }

    /// Bytes of text in this step.
    pub fn size_bytes(&self) -> usize {
        self.tool.len()
            + self.action.len()
            + self.parameters.as_str().len()
            + self.observation.len()
            + self.error.as_ref().map_or(0, String::len)
    }
}

impl Outcome {
    /// Checks the verdict, and that an abstention names its step and reason.
    pub fn validate(&self) -> Result<()> {
        optional("outcome.verdict", &self.verdict, MAX_TEXT_BYTES)?;
        if self.kind == OutcomeKind::Abstained {
            required("outcome.verdict", &self.verdict, MAX_TEXT_BYTES)?;
            if self.at_step.is_none() {
                let problem = "is missing; an abstained outcome names the step at which it stopped";
                return Err(Error::invalid("outcome.at_step", problem));
            }
        }
        Ok(())
    }
}

impl Reward {
    /// Checks that every number is finite and the score between 0 and 1.
    pub fn validate(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.score) {
            let problem = format!("is {}; a reward is a number from 0 to 1", self.score);
            return Err(Error::invalid("reward.score", problem));
        }
        match self.components.iter().find(|(_, v)| !v.is_finite()) {
            Some((name, v)) => Err(Error::invalid(
                format!("reward.components[{}]", excerpt(name)),
                format!("is {v}; numbers must be finite"),
            )),
            None => Ok(()),
        }
    }
}

impl Reflection {
    fn validate(&self) -> Result<()> {
        for (name, lines) in
            [("worked", &self.worked), ("failed", &self.failed), ("next_time", &self.next_time)]
        {
            let field = format!("reflection.{name}");
            at_most(&field, lines.len(), MAX_REFLECTION_LINES)?;
            lines.iter().try_for_each(|line| required(&field, line, MAX_TEXT_BYTES))?;
        }
        Ok(())
    }
}

impl Error {
    /// The same error, with the field's path put behind `parent`.
    pub fn within(self, parent: &str) -> Self {
        match self {
            Error::Invalid { field, problem } => {
                Error::Invalid { field: format!("{parent}.{field}"), problem }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EpisodeId, RawJson, RewardSource, Timestamp};

    fn episode() -> Episode {
        Episode::start(EpisodeId::derive(&[b"x"]), "default", "fix the login test", Timestamp(1))
    }

    fn problem(e: &Episode) -> String {
        e.validate().unwrap_err().to_string()
    }

    #[test]
    fn a_plain_episode_is_valid() {
        episode().validate().unwrap();
    }

    #[test]
    fn broken_rules_name_the_field_and_the_way_out() {
        let mut e = episode();
        e.task_description = "  ".into();
        assert!(problem(&e).starts_with("task_description: is empty"));

        let mut e = episode();
        e.steps = vec![Step { action: "cat a\0b".into(), ..Step::default() }];
        assert!(problem(&e).starts_with("steps[0].action: contains a NUL character at byte 5"));

        let mut e = episode();
        e.reward = Some(Reward {
            score: f64::NAN,
            source: RewardSource::User,
            components: Default::default(),
        });
        assert!(problem(&e).contains("is NaN; a reward is a number from 0 to 1"));

        let mut e = episode();
        e.outcome = Some(Outcome::new(OutcomeKind::Abstained, "not allowed to touch production"));
        assert!(problem(&e).starts_with("outcome.at_step: is missing"));
    }

    #[test]
    fn limits_hold_at_the_limit_and_refuse_one_beyond() {
        let step =
            |n: usize| Step { observation: "x".repeat(n), action: "ls".into(), ..Step::default() };
        step(MAX_FIELD_BYTES).validate().unwrap();
        assert!(step(MAX_FIELD_BYTES + 1).validate().is_err());

        let mut e = episode();
        e.steps = vec![step(MAX_FIELD_BYTES - 8); 4];
        e.validate().unwrap_err();
        e.steps.truncate(3);
        e.validate().unwrap();

        e.metadata = (0..=MAX_METADATA_KEYS).map(|i| (format!("k{i}"), 1.into())).collect();
        assert!(problem(&e).contains("65 entries, the limit is 64"));
    }

    #[test]
    fn parameters_over_the_limit_are_refused() {
        let text = format!("\"{}\"", "y".repeat(MAX_FIELD_BYTES));
        let parameters = RawJson::parse(&text).unwrap();
        let step = Step { action: "write".into(), parameters, ..Step::default() };
        assert!(step.validate().unwrap_err().to_string().contains("the limit is 1048576"));
    }
}
