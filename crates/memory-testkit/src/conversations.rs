//! Conversations between two people, with questions about them: what retrieval is developed on, and
//! what it is checked on.
//!
//! The files below `conversations/` are written by hand; nothing was ever chosen by those below
//! `held-out/`, so that what is reached on them is what to expect elsewhere. A line is a turn, `M12: text` by the speaker
//! whose name begins with M; its number is what questions refer to. `@` begins a session with its
//! time, `?` a question with the turns that answer it.
//!
//! Four conversations are quickly told apart. So each [`group`](Item::group) is one of them with the
//! turns of the other three mixed in under its own speakers' names: as many sessions about everyday
//! matters that the questions are not about.

use serde::Serialize;

/// Whose questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Those that constants and lists of recall were chosen on.
    Development,
    /// Those that they were not.
    HeldOut,
}

const DEVELOPMENT: [&str; 4] = [
    include_str!("../conversations/maya-leo.txt"),
    include_str!("../conversations/priya-tom.txt"),
    include_str!("../conversations/nora-dev.txt"),
    include_str!("../conversations/grace-omar.txt"),
];

const HELD_OUT: [&str; 4] = [
    include_str!("../conversations/held-out/amara-jonas.txt"),
    include_str!("../conversations/held-out/hugo-lin.txt"),
    include_str!("../conversations/held-out/ingrid-samuel.txt"),
    include_str!("../conversations/held-out/ruth-felix.txt"),
];

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Unique in its group.
    pub id: String,
    /// `Speaker: what they said`.
    pub text: String,
    /// When the session began; the same for all its turns.
    pub at: String,
    /// The conversation.
    pub group: String,
}

/// One question about a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// In other words than the turns use.
    pub query: String,
    /// The turns that answer it, one or several.
    pub relevant_ids: Vec<String>,
    /// The conversation.
    pub group: String,
}

/// All turns and all questions of a set.
pub fn conversations(set: Set) -> (Vec<Item>, Vec<Question>) {
    let files = match set {
        Set::Development => DEVELOPMENT,
        Set::HeldOut => HELD_OUT,
    };
    let parsed: Vec<Conversation> = files.iter().map(|text| Conversation::parse(text)).collect();
    let (mut items, mut questions) = (Vec::new(), Vec::new());
    for (own, conversation) in parsed.iter().enumerate() {
        let group = conversation.speakers.join(" and ");
        let mut turns: Vec<Item> = Vec::new();
        for (place, other) in parsed.iter().enumerate() {
            turns.extend(other.turns.iter().map(|turn| Item {
                id: if place == own { turn.id.clone() } else { format!("{place}.{}", turn.id) },
                text: conversation.renamed(&turn.text, &other.speakers),
                at: turn.at.clone(),
                group: group.clone(),
            }));
        }
        turns.sort_by(|a, b| a.at.cmp(&b.at));
        items.extend(turns);
        questions.extend(conversation.questions.iter().map(|(numbers, query)| Question {
            query: query.clone(),
            relevant_ids: numbers.clone(),
            group: group.clone(),
        }));
    }
    (items, questions)
}

struct Turn {
    id: String,
    text: String,
    at: String,
}

struct Conversation {
    speakers: Vec<String>,
    turns: Vec<Turn>,
    questions: Vec<(Vec<String>, String)>,
}

impl Conversation {
    fn parse(text: &str) -> Self {
        let mut all =
            Conversation { speakers: Vec::new(), turns: Vec::new(), questions: Vec::new() };
        let mut at = String::new();
        for line in text.lines() {
            let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
            match mark {
                "=" => all.speakers = rest.split(' ').map(str::to_owned).collect(),
                "@" => at = format!("{rest}:00Z"),
                "?" => {
                    let (turns, query) = rest.split_once(' ').unwrap_or((rest, ""));
                    let numbers = turns.split(',').map(|n| format!("t{n}")).collect();
                    all.questions.push((numbers, query.to_owned()));
                }
                _ => all.turn(mark, rest, &at),
            }
        }
        all
    }

    fn turn(&mut self, mark: &str, said: &str, at: &str) {
        let mark = mark.trim_end_matches(':');
        let number = mark.trim_start_matches(char::is_alphabetic);
        let initial = mark.trim_end_matches(|c: char| c.is_ascii_digit());
        let speaker = self.speakers.iter().find(|name| name.starts_with(initial));
        let id = match number {
            "" => format!("x{}", self.turns.len()),
            number => format!("t{number}"),
        };
        let text = format!("{}: {said}", speaker.map_or("", String::as_str));
        self.turns.push(Turn { id, text, at: at.to_owned() });
    }

    /// What `others` said, as if these speakers had.
    fn renamed(&self, text: &str, others: &[String]) -> String {
        let mut out = text.to_owned();
        for (own, other) in self.speakers.iter().zip(others) {
            out = replace_word(&out, other, own);
        }
        out
    }
}

fn replace_word(text: &str, word: &str, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let end = piece.trim_end_matches(|c: char| !c.is_alphanumeric()).len();
        match piece.split_at(end) {
            (own, rest) if own == word => {
                out.push_str(by);
                out.push_str(rest);
            }
            _ => out.push_str(piece),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_question_is_answered_by_turns_of_its_own_group() {
        for (set, turns, asked) in [(Set::Development, 1500, 200), (Set::HeldOut, 900, 140)] {
            let (items, questions) = conversations(set);
            let ids: HashSet<(&str, &str)> =
                items.iter().map(|item| (item.group.as_str(), item.id.as_str())).collect();
            assert_eq!(ids.len(), items.len(), "an id is used twice");
            let (items, count) = (items.len(), questions.len());
            assert!(items > turns && count > asked, "{items} turns, {count} questions");
            for question in &questions {
                for id in &question.relevant_ids {
                    assert!(ids.contains(&(question.group.as_str(), id.as_str())), "{question:?}");
                }
            }
        }
    }

    #[test]
    fn the_turns_of_others_are_said_by_the_speakers_of_the_group() {
        for item in [Set::Development, Set::HeldOut].map(|set| conversations(set).0).concat() {
            let (speaker, said) = item.text.split_once(": ").unwrap();
            assert!(item.group.split(" and ").any(|name| name == speaker), "{}", item.text);
            assert!(!said.is_empty());
        }
    }
}
