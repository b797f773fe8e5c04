//! Filters as they are typed.

use clap::Args as ClapArgs;
use memory_core::error::excerpt;
use memory_core::period::Period;
use memory_core::store::Filter;
use memory_core::{Condition, Error, OutcomeKind, Timestamp};

use super::Failure;

/// Which episodes a command is about.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only this task type
    #[arg(long, value_name = "TYPE")]
    pub task_type: Option<String>,
    /// Only this domain
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,
    /// Only this programming or query language
    #[arg(long, value_name = "NAME")]
    pub language: Option<String>,
    /// Only these outcomes: success, partial, failure, abstained, abandoned, unjudged, running
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',')]
    pub outcome: Vec<String>,
    /// Only with at least this reward, 0 to 1
    #[arg(long, value_name = "SCORE")]
    pub min_reward: Option<f64>,
    /// Only begun at or after this time: 2026-03-01, 7d (ago), yesterday, last week, 2026-03
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only begun before this time
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only with metadata for which this holds: `repo=api`, or 'repo = "api" AND attempts > 2'; all of
    /// them, if repeated
    ///
    /// KEY followed by = != < <= > >= and a value, by STARTS WITH "text", or by EXISTS; joined by AND,
    /// OR, NOT and parentheses. Values are numbers, true, false, or text, in quotes where it has
    /// spaces or looks like one of the others.
    #[arg(long = "where", value_name = "CONDITION")]
    pub metadata: Vec<String>,
    /// Archived episodes too
    #[arg(long)]
    pub archived: bool,
}

impl FilterArgs {
    /// The filter, with times relative to `now`.
    pub fn to_filter(&self, now: Timestamp) -> Result<Filter, Failure> {
        let states = self.outcome.iter().map(|text| state(text)).collect::<Result<_, _>>()?;
        if let Some(score) = self.min_reward.filter(|score| !(0.0..=1.0).contains(score)) {
            return Err(Failure::usage(format!("--min-reward is {score}"))
                .hint("a reward is a number from 0 to 1"));
        }
        let time = |text: &Option<String>| text.as_deref().map(|t| moment(t, now)).transpose();
        Ok(Filter {
            task_type: self.task_type.clone(),
            domain: self.domain.clone(),
            language: self.language.clone(),
            states,
            min_reward: self.min_reward,
            since: time(&self.since)?,
            until: time(&self.until)?,
            metadata: self.condition()?,
            include_archived: self.archived,
        })
    }
}

impl FilterArgs {
    /// What must hold for the metadata: every `--where`.
    fn condition(&self) -> Result<Option<Condition>, Failure> {
        let parsed = self.metadata.iter().map(|text| text.parse()).collect::<Result<_, Error>>()?;
        let all = Condition::all(parsed);
        all.as_ref().map_or(Ok(()), Condition::validate)?;
        Ok(all)
    }
}

fn state(text: &str) -> Result<String, Failure> {
    if text != "running" {
        text.parse::<OutcomeKind>().map_err(|e| {
            Failure::usage(e.to_string()).hint("or `running` for episodes that have not ended")
        })?;
    }
    Ok(text.to_owned())
}

/// A time: RFC 3339, the beginning of a period (`2026-03`, `last week`), or how long ago (`7d`).
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    Period::parse(text, now).map(|period| period.since).ok_or_else(|| {
        Failure::usage(format!("\"{}\" is no time", excerpt(text)))
            .hint("write 2026-03-01, 2026-03-01T12:00:00Z, how long ago (7d, 36h), or yesterday, last week, 2026-03")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000_000);

    #[test]
    fn times_are_dates_instants_or_how_long_ago() {
        let iso = |text| moment(text, NOW).unwrap().to_string();
        assert_eq!(iso("2026-03-01"), "2026-03-01T00:00:00Z");
        assert_eq!(iso("2026-03-01T12:00:00+02:00"), "2026-03-01T10:00:00Z");
        assert_eq!(iso("2001-09"), "2001-09-01T00:00:00Z");
        assert_eq!(iso("yesterday"), "2001-09-08T00:00:00Z");
        assert_eq!(moment("7d", NOW).unwrap().0, NOW.0 - 7 * 86_400_000_000);
        assert_eq!(moment("36h", NOW).unwrap().0, NOW.0 - 36 * 3_600_000_000);
        assert_eq!(moment("2 weeks", NOW).unwrap().0, NOW.0 - 14 * 86_400_000_000);
        for wrong in ["", "soon", "2026-13-01", "7"] {
            assert!(moment(wrong, NOW).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn every_where_must_hold_and_an_error_points_at_its_place() {
        let filter = |wheres: &[&str]| {
            let metadata = wheres.iter().map(|&text| text.into()).collect();
            FilterArgs { metadata, ..FilterArgs::default() }.to_filter(NOW)
        };
        let both: Condition = "repo = api AND (n > 2 OR n < 0)".parse().unwrap();
        assert_eq!(filter(&["repo=api", "n > 2 OR n < 0"]).unwrap().metadata, Some(both));
        let Err(Failure::Told { message, .. }) = filter(&["repo=api", "n >"]) else {
            panic!("taken")
        };
        assert!(message.contains("at character 4 (after n >): a value is missing"), "{message}");
    }

    #[test]
    fn an_unknown_outcome_lists_the_known_ones() {
        let args = FilterArgs { outcome: vec!["great".into()], ..FilterArgs::default() };
        let Err(Failure::Told { message, .. }) = args.to_filter(NOW) else { panic!("taken") };
        assert!(message.contains("success, partial, failure"), "{message}");
    }
}
