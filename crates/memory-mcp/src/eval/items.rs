//! Items and questions as JSONL.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use memory_core::Timestamp;
use memory_core::error::excerpt;
use serde::Deserialize;
use serde_json::Value;

/// One text to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Unique in its group.
    pub id: String,
    /// What is searched.
    pub text: String,
    /// When it was said or done.
    pub at: Option<Timestamp>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// As it is asked.
    pub query: String,
    /// The items that answer it: at least one.
    pub relevant: HashSet<String>,
}

/// Items that are searched together, and the questions about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// As in the files; empty for items without one.
    pub name: String,
    /// In the order of the file.
    pub items: Vec<Item>,
    /// In the order of the file.
    pub questions: Vec<Question>,
}

/// A line that could not be used, or not in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// The file as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong, and what follows from it.
    pub problem: String,
}

/// What two files hold.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// In the order in which items name them; none without items.
    pub groups: Vec<Group>,
    /// In the order of the files.
    pub bad: Vec<BadLine>,
}

#[derive(Deserialize)]
struct RawItem {
    id: Name,
    text: String,
    #[serde(default)]
    at: Value,
    #[serde(default)]
    group: Option<Name>,
}

#[derive(Deserialize)]
struct RawQuestion {
    query: String,
    relevant_ids: Vec<Name>,
    #[serde(default)]
    group: Option<Name>,
}

/// An id or a group: text, or a number taken as its text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Number(serde_json::Number),
}

impl Name {
    fn text(self) -> String {
        match self {
            Name::Text(text) => text,
            Name::Number(number) => number.to_string(),
        }
    }
}

fn name_of(group: Option<Name>) -> String {
    group.map(Name::text).unwrap_or_default()
}

impl Data {
    /// Reads both files. Lines that make no sense are left out and listed.
    pub fn read(
        items: (&str, impl BufRead),
        questions: (&str, impl BufRead),
    ) -> std::io::Result<Self> {
        let mut data = Data::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut seen: HashSet<(usize, String)> = HashSet::new();
        data.lines(items, |data, text| {
            let raw: RawItem = parse(text)?;
            let place = data.place(&mut places, name_of(raw.group));
            let id = raw.id.text();
            if raw.text.trim().is_empty() {
                return Err("text: is empty; the item is left out".into());
            }
            if !seen.insert((place, id.clone())) {
                let shown = excerpt(&id);
                return Err(format!("id: \"{shown}\" is used before; the item is left out"));
            }
            let (at, problem) = match moment(&raw.at) {
                Ok(at) => (at, Ok(())),
                Err(problem) => (None, Err(problem)),
            };
            if let Some(group) = data.groups.get_mut(place) {
                group.items.push(Item { id, text: raw.text, at });
            }
            problem
        })?;
        data.lines(questions, |data, text| {
            let raw: RawQuestion = parse(text)?;
            let name = name_of(raw.group);
            let relevant: HashSet<String> = raw.relevant_ids.into_iter().map(Name::text).collect();
            if raw.query.trim().is_empty() {
                return Err("query: is empty; the question is left out".into());
            }
            let place = data.place_of_question(&places, &seen, &name, &relevant);
            let unknown =
                |id: &&String| place.is_none_or(|place| !seen.contains(&(place, (*id).clone())));
            let missing: Vec<&String> = relevant.iter().filter(unknown).collect();
            if missing.len() == relevant.len() {
                let of = excerpt(&name);
                return Err(format!(
                    "relevant_ids: none is an item of group \"{of}\"; the question is left out"
                ));
            }
            let problem = missing.first().map(|id| {
                let shown = excerpt(id);
                format!("relevant_ids: \"{shown}\" is no item of the group; it counts as not found")
            });
            if let Some(group) = place.and_then(|place| data.groups.get_mut(place)) {
                group.questions.push(Question { query: raw.query, relevant });
            }
            problem.map_or(Ok(()), Err)
        })?;
        Ok(data)
    }

    fn lines(
        &mut self,
        (file, mut input): (&str, impl BufRead),
        mut take: impl FnMut(&mut Self, &str) -> Result<(), String>,
    ) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            if input.read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
            let taken = match std::str::from_utf8(&bytes).map(str::trim) {
                Ok("") => Ok(()),
                Ok(text) => take(self, text.trim_start_matches('\u{feff}')),
                Err(_) => Err("is no UTF-8; the line is left out".to_owned()),
            };
            if let Err(problem) = taken {
                self.bad.push(BadLine { file: file.to_owned(), line, problem });
            }
        }
        Ok(())
    }

    /// Which group a question is about: the one that it names; without a name the only one there is,
    /// or the only one with these items.
    fn place_of_question(
        &self,
        places: &HashMap<String, usize>,
        seen: &HashSet<(usize, String)>,
        name: &str,
        relevant: &HashSet<String>,
    ) -> Option<usize> {
        if let Some(place) = places.get(name) {
            return Some(*place);
        }
        if self.groups.len() == 1 {
            return Some(0);
        }
        let has_all =
            |place: &usize| relevant.iter().all(|id| seen.contains(&(*place, id.clone())));
        let mut fitting = (0..self.groups.len()).filter(has_all);
        fitting.next().filter(|_| name.is_empty() && fitting.next().is_none())
    }

    fn place(&mut self, places: &mut HashMap<String, usize>, name: String) -> usize {
        *places.entry(name.clone()).or_insert_with(|| {
            self.groups.push(Group { name, ..Group::default() });
            self.groups.len() - 1
        })
    }
}

fn parse<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|e| format!("{e}; the line is left out: {}", excerpt(text)))
}

/// Formats of times beside RFC 3339 that are in use in public question sets.
const FORMATS: [&str; 6] = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d (%a) %H:%M",
    "%Y/%m/%d %H:%M",
    "%I:%M %p on %d %B, %Y",
    "%d %B, %Y",
];

/// A time, in UTC where it names no zone; seconds or milliseconds as a number.
fn moment(at: &Value) -> Result<Option<Timestamp>, String> {
    let known = match at {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => read_time(text.trim()),
        Value::Number(n) => n.as_f64().filter(|n| n.is_finite()).map(|n| {
            // Seconds reach this in the year 5138, milliseconds did in 1973.
            let seconds = if n.abs() < 1e11 { n } else { n / 1000.0 };
            Timestamp((seconds * 1e6) as i64)
        }),
        _ => None,
    };
    known.map(Some).ok_or_else(|| {
        let shown = at.to_string();
        format!("at: {} is no time; the item is kept without one", excerpt(&shown))
    })
}

fn read_time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let civil = text.parse::<DateTime>().ok().or_else(|| {
        let parsed = FORMATS.iter().find_map(|f| BrokenDownTime::parse(f, text).ok())?;
        parsed
            .to_datetime()
            .ok()
            .or_else(|| Some(parsed.to_date().ok()?.to_datetime(jiff::civil::Time::midnight())))
    })?;
    let zoned = civil.to_zoned(TimeZone::UTC).ok()?;
    Some(Timestamp(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(items: &str, questions: &str) -> Data {
        Data::read(("items", items.as_bytes()), ("questions", questions.as_bytes())).unwrap()
    }

    #[test]
    fn bad_lines_are_named_and_the_rest_is_used() {
        let items = "{\"id\":\"a\",\"text\":\"x\"}\nnonsense\n\n{\"id\":\"a\",\"text\":\"y\"}\n\
                     {\"id\":2,\"text\":\"z\",\"at\":\"soon\"}\n{\"id\":\"c\",\"text\":\" \"}";
        let questions = "{\"query\":\"x?\",\"relevant_ids\":[\"a\",2]}\n\
                         {\"query\":\"y?\",\"relevant_ids\":[\"q\"]}\n\
                         {\"query\":\"z?\",\"relevant_ids\":[\"a\",\"q\"]}\n{\"query\":\"w?\"}";
        let data = read(items, questions);
        let [group] = &data.groups[..] else { panic!("{:?}", data.groups) };
        assert_eq!(group.items.len(), 2);
        let asked: Vec<&str> = group.questions.iter().map(|q| q.query.as_str()).collect();
        assert_eq!(asked, ["x?", "z?"]);
        let lines: Vec<(&str, usize)> =
            data.bad.iter().map(|bad| (bad.file.as_str(), bad.line)).collect();
        let (i, q) = ("items", "questions");
        assert_eq!(lines, [(i, 2), (i, 4), (i, 5), (i, 6), (q, 2), (q, 3), (q, 4)]);
    }

    #[test]
    fn a_question_without_a_group_is_about_the_one_that_has_its_items() {
        let of_two = "{\"text\":\"x\",\"group\":1,\"id\":1}\n{\"group\":\"2\",\"id\":\"b\",\"text\":\"y\"}\n\
                      {\"group\":\"2\",\"id\":1,\"text\":\"z\"}";
        let questions = "{\"relevant_ids\":[\"b\",1],\"query\":\"both?\"}\n\
                         {\"query\":\"either?\",\"relevant_ids\":[\"1\"]}\n\
                         {\"query\":\"named?\",\"relevant_ids\":[\"1\"],\"group\":1}";
        let data = read(of_two, questions);
        let asked: Vec<Vec<&str>> = data
            .groups
            .iter()
            .map(|group| group.questions.iter().map(|q| q.query.as_str()).collect())
            .collect();
        assert_eq!(asked, [vec!["named?"], vec!["both?"]]);
        assert_eq!(data.bad.len(), 1, "{:?}", data.bad);

        let of_one = read(
            "{\"id\":1,\"text\":\"x\"}",
            "{\"query\":\"x?\",\"relevant_ids\":[1],\"group\":\"g\"}",
        );
        assert_eq!((of_one.groups[0].questions.len(), of_one.bad.len()), (1, 0));
    }

    #[test]
    fn times_are_read_as_public_sets_write_them() {
        let utc = |text: &str| moment(&Value::from(text)).unwrap().unwrap().to_string();
        for text in [
            "2023-05-08T13:56:00Z",
            "2023-05-08T13:56:00",
            "2023-05-08 13:56",
            "1:56 pm on 8 May, 2023",
            "2023/05/08 (Mon) 13:56",
        ] {
            assert_eq!(utc(text), "2023-05-08T13:56:00Z", "{text}");
        }
        assert_eq!(utc("2023-05-08"), "2023-05-08T00:00:00Z");
        assert_eq!(
            moment(&Value::from(1_683_554_160)).unwrap().unwrap().to_string(),
            "2023-05-08T13:56:00Z"
        );
        assert_eq!(moment(&Value::Null), Ok(None));
    }
}
