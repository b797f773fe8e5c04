//! The words that stand for enums in columns.

use memory_core::envelope::damaged;
use memory_core::learning::LessonKind;
use memory_core::store::{FeedbackVerdict, RelationKind};
use memory_core::{Error, Result};

const VERDICTS: [FeedbackVerdict; 4] = [
    FeedbackVerdict::Helped,
    FeedbackVerdict::DidNotHelp,
    FeedbackVerdict::Wrong,
    FeedbackVerdict::Recalled,
];

pub(crate) fn verdict(verdict: FeedbackVerdict) -> &'static str {
    match verdict {
        FeedbackVerdict::Helped => "helped",
        FeedbackVerdict::DidNotHelp => "did_not_help",
        FeedbackVerdict::Wrong => "wrong",
        FeedbackVerdict::Recalled => "recalled",
    }
}

pub(crate) fn parse_lesson_kind(word: &str) -> Result<LessonKind> {
    find(LessonKind::ALL, LessonKind::as_str, word)
}

pub(crate) fn parse_verdict(word: &str) -> Result<FeedbackVerdict> {
    find(VERDICTS, verdict, word)
}

pub(crate) fn parse_relation(word: &str) -> Result<RelationKind> {
    find(RelationKind::ALL, RelationKind::as_str, word)
}

fn find<T: Copy, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
    word: &str,
) -> Result<T, Error> {
    all.into_iter().find(|item| name(*item) == word).ok_or_else(|| {
        damaged(
            &"the database",
            format!("the word \"{}\" is not known", memory_core::error::excerpt(word)),
        )
    })
}
