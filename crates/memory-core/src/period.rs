//! Stretches of time as people name them: `2026-03`, `yesterday`, `last week`, `7d`, `3 days ago`.
//!
//! Days begin at midnight in UTC, weeks on Monday. What a text names depends on when it is read, so
//! the time is passed in.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, ToSpan};

use crate::clock::Timestamp;

/// Words of the longest name of a period: `the last 3 weeks`.
const MAX_WORDS: usize = 4;

/// From a moment on, up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub since: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

/// A period that a text speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The period.
    pub period: Period,
    /// The words that name it, in lower case: `last week`, `before 2026-03`.
    pub phrase: String,
}

impl Period {
    /// The period that `text` names and nothing else: a day, a month or a year (`2026-03-01`,
    /// `2026-03`, `march 2026`, `2026`), a moment (RFC 3339), a span up to now (`7d`, `36h`, `last 3
    /// days`), or a word (`today`, `yesterday`, `last week`, `this month`, `monday`, `2 weeks ago`).
    /// `None` when it names none.
    pub fn parse(text: &str, now: Timestamp) -> Option<Self> {
        let text = text.trim();
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Some(Period { since: moment, until: moment });
        }
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        dated(&words).or_else(|| relative(&words, now)).or_else(|| {
            let span = text.parse::<Span>().ok()?.abs();
            let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
            Some(up_to(now, i64::try_from(length.as_micros()).ok()?))
        })
    }

    /// The period that `text` speaks of among other things, where its words leave no doubt that they
    /// are about when something was: `since` and `before` with a date, `yesterday`, `last week`. A
    /// year alone is none: tasks are about years.
    pub fn named_in(text: &str, now: Timestamp) -> Option<Named> {
        let lower = text.to_lowercase();
        let words: Vec<&str> = lower
            .split_whitespace()
            .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
            .collect();
        (0..words.len()).find_map(|start| {
            (1..=MAX_WORDS).rev().find_map(|length| {
                let words = words.get(start..start + length)?;
                let period = spoken(words, now)?;
                Some(Named { period, phrase: words.join(" ") })
            })
        })
    }

    /// True when something that went on from `start` to `end` was at least partly in it.
    pub fn meets(&self, start: Timestamp, end: Timestamp) -> bool {
        start < self.until && end >= self.since
    }
}

/// What these words mean within a sentence.
fn spoken(words: &[&str], now: Timestamp) -> Option<Period> {
    let (first, rest) = words.split_first()?;
    let is_year = |words: &[&str]| matches!(words, [year] if year.len() == 4);
    let named = |words: &[&str]| {
        let whole = words.join(" ");
        let whole = whole.strip_prefix("the ").unwrap_or(&whole);
        (!is_year(words)).then(|| Period::parse(whole, now)).flatten()
    };
    match *first {
        "since" => named(rest).map(|p| Period { since: p.since, until: Timestamp(i64::MAX) }),
        "after" => named(rest).map(|p| Period { since: p.until, until: Timestamp(i64::MAX) }),
        "before" | "until" | "till" => {
            named(rest).map(|p| Period { since: Timestamp(i64::MIN), until: p.since })
        }
        "in" | "on" | "during" | "from" | "the" => {
            let plain = rest.strip_prefix(&["the"]).unwrap_or(rest);
            dated(plain)
                .filter(|_| !is_year(plain))
                .or_else(|| relative(plain, now))
                .or_else(|| month_by_name(plain, now))
        }
        // Alone, a weekday is mostly one that recurs, or that is to come.
        _ if words.len() == 1 && weekday(first).is_some() => None,
        _ => relative(words, now),
    }
}

/// A day, a month or a year of the calendar.
fn dated(words: &[&str]) -> Option<Period> {
    match *words {
        [word] => {
            if let Ok(date) = word.parse::<Date>() {
                return (word.len() >= 10).then(|| days(date, date.tomorrow().ok()?)).flatten();
            }
            let digits =
                |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok());
            match word.split_once('-') {
                Some((year, month)) if year.len() == 4 && month.len() == 2 => {
                    month_of(digits(year)??, i8::try_from(digits(month)??).ok()?)
                }
                None if word.len() == 4 => {
                    let begin = Date::new(digits(word)??, 1, 1).ok()?;
                    days(begin, begin.checked_add(1.year()).ok()?)
                }
                _ => None,
            }
        }
        [name, year] if year.len() == 4 => month_of(year.parse().ok()?, month(name)?),
        _ => None,
    }
}

fn month_of(year: i16, month: i8) -> Option<Period> {
    let begin = Date::new(year, month, 1).ok()?;
    days(begin, begin.checked_add(1.month()).ok()?)
}

/// The latest month of that name that has begun.
fn month_by_name(words: &[&str], now: Timestamp) -> Option<Period> {
    let [name] = *words else { return None };
    let (today, month) = (date_of(now)?, month(name)?);
    month_of(today.year() - i16::from(month > today.month()), month)
}

/// What is named by its distance from now.
fn relative(words: &[&str], now: Timestamp) -> Option<Period> {
    let today = date_of(now)?;
    let calendar = |unit, back| calendar(unit, back, today);
    match *words {
        ["today"] => calendar(Unit::Day, 0),
        ["yesterday"] => calendar(Unit::Day, 1),
        ["last" | "previous", unit] => match weekday(unit) {
            Some(day) => last(day, today),
            None => calendar(self::unit(unit)?, 1),
        },
        ["this", unit] => calendar(self::unit(unit)?, 0),
        ["past", unit] => Some(up_to(now, self::unit(unit)?.microseconds())),
        ["last" | "past", n, unit] => {
            Some(up_to(now, number(n)?.checked_mul(self::unit(unit)?.microseconds())?))
        }
        [n, unit, "ago"] => {
            let unit = self::unit(unit)?.microseconds();
            let middle = now.0.saturating_sub(number(n)?.checked_mul(unit)?);
            let around = |by: i64| Timestamp(middle.saturating_add(by));
            Some(Period { since: around(-unit / 2), until: around(unit / 2) })
        }
        [day] => last(weekday(day)?, today),
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    fn microseconds(self) -> i64 {
        let hours = match self {
            Unit::Hour => 1,
            Unit::Day => 24,
            Unit::Week => 24 * 7,
            Unit::Month => 24 * 30,
            Unit::Year => 24 * 365,
        };
        hours * 3_600_000_000
    }
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word.strip_suffix('s').unwrap_or(word) {
        "hour" => Unit::Hour,
        "day" => Unit::Day,
        "week" => Unit::Week,
        "month" => Unit::Month,
        "year" => Unit::Year,
        _ => return None,
    })
}

/// A unit of the calendar, so many before the one that is now.
fn calendar(unit: Unit, back: i32, today: Date) -> Option<Period> {
    let (this, length) = match unit {
        Unit::Hour => return None,
        Unit::Day => (today, 1.day()),
        Unit::Week => {
            let since_monday = i64::from(today.weekday().to_monday_zero_offset());
            (today.checked_sub(since_monday.days()).ok()?, 1.week())
        }
        Unit::Month => (today.first_of_month(), 1.month()),
        Unit::Year => (today.first_of_year(), 1.year()),
    };
    let begin = this.checked_sub(length.checked_mul(i64::from(back)).ok()?).ok()?;
    days(begin, begin.checked_add(length).ok()?)
}

/// The latest such day before today.
fn last(day: Weekday, today: Date) -> Option<Period> {
    let begin = today.nth_weekday(-1, day).ok()?;
    days(begin, begin.tomorrow().ok()?)
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

fn month(word: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let place = MONTHS.iter().position(|name| *name == word)?;
    i8::try_from(place + 1).ok()
}

fn number(word: &str) -> Option<i64> {
    const WORDS: [&str; 10] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let by_name = WORDS.iter().position(|name| *name == word);
    by_name.and_then(|place| i64::try_from(place + 1).ok()).or_else(|| {
        let n: i64 = word.parse().ok()?;
        (1..=10_000).contains(&n).then_some(n)
    })
}

fn up_to(now: Timestamp, microseconds: i64) -> Period {
    Period { since: Timestamp(now.0.saturating_sub(microseconds)), until: now }
}

fn date_of(now: Timestamp) -> Option<Date> {
    let instant = jiff::Timestamp::from_microsecond(now.0).ok()?;
    Some(instant.to_zoned(TimeZone::UTC).date())
}

/// From the beginning of one day to that of another.
fn days(begin: Date, end: Date) -> Option<Period> {
    let midnight = |date: Date| {
        let zoned = date.to_zoned(TimeZone::UTC).ok()?;
        Some(Timestamp(zoned.timestamp().as_microsecond()))
    };
    Some(Period { since: midnight(begin)?, until: midnight(end)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Wednesday.
    const NOW: &str = "2026-03-18T15:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn shown(period: Period) -> String {
        let short = |t: Timestamp| match t.0 {
            i64::MIN | i64::MAX => String::new(),
            _ => t.to_string().replace("T00:00:00Z", "").replace(":00Z", ""),
        };
        format!("{}..{}", short(period.since), short(period.until))
    }

    #[test]
    fn periods_are_named_by_dates_spans_and_words() {
        for (text, period) in [
            ("2026-03-01", "2026-03-01..2026-03-02"),
            ("2026-02", "2026-02-01..2026-03-01"),
            ("February 2024", "2024-02-01..2024-03-01"),
            ("2025", "2025-01-01..2026-01-01"),
            ("2026-03-01T12:00:00+02:00", "2026-03-01T10:00..2026-03-01T10:00"),
            ("today", "2026-03-18..2026-03-19"),
            ("Yesterday", "2026-03-17..2026-03-18"),
            ("last week", "2026-03-09..2026-03-16"),
            ("this week", "2026-03-16..2026-03-23"),
            ("last month", "2026-02-01..2026-03-01"),
            ("last year", "2025-01-01..2026-01-01"),
            ("friday", "2026-03-13..2026-03-14"),
            ("last wednesday", "2026-03-11..2026-03-12"),
            ("7d", "2026-03-11T15:00..2026-03-18T15:00"),
            ("36h", "2026-03-17T03:00..2026-03-18T15:00"),
            ("2 weeks", "2026-03-04T15:00..2026-03-18T15:00"),
            ("last 3 days", "2026-03-15T15:00..2026-03-18T15:00"),
            ("two days ago", "2026-03-16T03:00..2026-03-17T03:00"),
        ] {
            assert_eq!(Period::parse(text, now()).map(shown).as_deref(), Some(period), "{text}");
        }
        for wrong in ["", "soon", "2026-13-01", "2026-13", "7", "last", "week", "-1 days ago"] {
            assert_eq!(Period::parse(wrong, now()), None, "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_query_names_a_period_only_where_that_is_clear() {
        for (text, phrase, period) in [
            ("What broke last week in CI?", "last week", "2026-03-09..2026-03-16"),
            ("deploys before 2026-03", "before 2026-03", "..2026-03-01"),
            ("deploys after 2026-03-01.", "after 2026-03-01", "2026-03-02.."),
            ("failures since 7d", "since 7d", "2026-03-11T15:00.."),
            ("since last Friday, what?", "since last friday", "2026-03-13.."),
            ("flaky tests in january", "in january", "2026-01-01..2026-02-01"),
            ("flaky tests in may", "in may", "2025-05-01..2025-06-01"),
            ("yesterday's deploy, yesterday", "yesterday", "2026-03-17..2026-03-18"),
            ("what of the last 3 days", "the last 3 days", "2026-03-15T15:00..2026-03-18T15:00"),
        ] {
            let named = Period::named_in(text, now()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((named.phrase.as_str(), shown(named.period).as_str()), (phrase, period));
        }
        for none in [
            "orders before 2013",
            "papers of 2010",
            "march on",
            "the last line",
            "every monday",
            "What did he do that day?",
            "may I see the week view",
        ] {
            assert_eq!(Period::named_in(none, now()), None, "{none}");
        }
    }

    #[test]
    fn any_text_is_read_without_harm() {
        for text in [
            "in",
            "since",
            "last 99999999999999999999 days",
            "9999 years ago",
            "since 9999-12-31",
            "after 9999-12",
        ] {
            let _ = (Period::parse(text, now()), Period::named_in(text, Timestamp(i64::MAX)));
            let _ = Period::named_in(text, Timestamp(i64::MIN));
            let _ = Period::named_in(text, now());
        }
    }
}
