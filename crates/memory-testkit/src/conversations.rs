//! Conversations between two people, with questions about them: what retrieval is developed on.
//!
//! The files below `conversations/` are written by hand. A line is a turn, `M12: text` by the speaker
//! whose name begins with M; its number is what questions refer to. `@` begins a session with its
//! time, `?` a question with the turns that answer it.
//!
//! Four conversations are quickly told apart. So each [`group`](Item::group) is one of them with the
//! turns of the other three mixed in under its own speakers' names: as many sessions about everyday
//! matters that the questions are not about.

use serde::Serialize;

const FILES: [&str; 4] = [
    include_str!("../conversations/maya-leo.txt"),
    include_str!("../conversations/priya-tom.txt"),
    include_str!("../conversations/nora-dev.txt"),
    include_str!("../conversations/grace-omar.txt"),
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

/// All turns and all questions.
pub fn conversations() -> (Vec<Item>, Vec<Question>) {
    let parsed: Vec<Conversation> = FILES.iter().map(|text| Conversation::parse(text)).collect();
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
        let (items, questions) = conversations();
        let ids: HashSet<(&str, &str)> =
            items.iter().map(|item| (item.group.as_str(), item.id.as_str())).collect();
        assert_eq!(ids.len(), items.len(), "an id is used twice");
        assert!(items.len() > 1500 && questions.len() > 200);
        for question in &questions {
            for id in &question.relevant_ids {
                assert!(ids.contains(&(question.group.as_str(), id.as_str())), "{question:?}");
            }
        }
    }

    #[test]
    fn the_turns_of_others_are_said_by_the_speakers_of_the_group() {
        let (items, _) = conversations();
        for item in items {
            let (speaker, said) = item.text.split_once(": ").unwrap();
            assert!(item.group.split(" and ").any(|name| name == speaker), "{}", item.text);
            assert!(!said.is_empty());
        }
    }
}
