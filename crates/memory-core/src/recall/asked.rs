//! What kind of answer a question asks for, as far as words betray it.

/// What an answer must have in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A time.
    Time,
    /// A number.
    Number,
}

const TIME: &[&str] = &["when"];
const TIME_PHRASES: &[&str] =
    &["what date", "what day", "what month", "what time", "what year", "which month", "which year"];
const NUMBER_PHRASES: &[&str] =
    &["how long", "how many", "how much", "how often", "how old", "what age"];

/// Words with which a speaker tells when something was, sorted.
const TIME_WORDS: &[&str] = &[
    "ago",
    "april",
    "august",
    "autumn",
    "december",
    "evening",
    "fall",
    "february",
    "friday",
    "january",
    "july",
    "june",
    "just",
    "last",
    "march",
    "may",
    "monday",
    "month",
    "months",
    "morning",
    "next",
    "night",
    "november",
    "october",
    "recently",
    "saturday",
    "september",
    "since",
    "soon",
    "spring",
    "summer",
    "sunday",
    "thursday",
    "today",
    "tomorrow",
    "tonight",
    "tuesday",
    "wednesday",
    "week",
    "weekend",
    "weeks",
    "winter",
    "year",
    "years",
    "yesterday",
];

/// Words for numbers and spans, sorted.
const NUMBER_WORDS: &[&str] = &[
    "couple", "days", "dozen", "eight", "every", "few", "fifty", "five", "forty", "four", "half",
    "hours", "hundred", "minutes", "months", "nine", "once", "one", "seven", "six", "sixty", "ten",
    "thirty", "thousand", "three", "twelve", "twenty", "twice", "two", "weeks", "years",
];

impl Asked {
    /// What `question` asks for, if it is a time or a number.
    pub(super) fn of(question: &str) -> Option<Self> {
        let lower = question.to_lowercase();
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| lower.contains(phrase));
        let first = words(&lower).next();
        if first.is_some_and(|word| TIME.contains(&word)) || has(TIME_PHRASES) {
            Some(Asked::Time)
        } else {
            has(NUMBER_PHRASES).then_some(Asked::Number)
        }
    }

    /// True for a text that may tell it.
    pub(super) fn is_told_by(self, text: &str) -> bool {
        let lower = text.to_lowercase();
        let has = |list: &[&str]| words(&lower).any(|word| list.binary_search(&word).is_ok());
        match self {
            Asked::Time => has(TIME_WORDS),
            Asked::Number => lower.bytes().any(|b| b.is_ascii_digit()) || has(NUMBER_WORDS),
        }
    }
}

fn words(lower: &str) -> impl Iterator<Item = &str> {
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_by_their_words() {
        assert_eq!(Asked::of("When did Leo get the dog?"), Some(Asked::Time));
        assert_eq!(Asked::of("In which year was it?"), Some(Asked::Time));
        assert_eq!(Asked::of("How many mugs were sold?"), Some(Asked::Number));
        assert_eq!(Asked::of("What did he do when it rained?"), None);
        assert!(Asked::Time.is_told_by("It came Yesterday."));
        assert!(!Asked::Time.is_told_by("It came."));
        assert!(Asked::Number.is_told_by("all 40 of them") && Asked::Number.is_told_by("Twice!"));
    }

    #[test]
    fn the_lists_are_sorted_so_that_they_can_be_searched() {
        assert!(TIME_WORDS.is_sorted() && NUMBER_WORDS.is_sorted());
    }
}
