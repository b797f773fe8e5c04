//! Episodes and steps as results show them: short, and never silently cut.

mod episode;
mod step;

use memory_core::Reward;

pub(in crate::mcp) use episode::headline;
pub(super) use episode::{EpisodeHead, EpisodeRow};
pub(super) use step::StepView;

/// Characters of the task in a row of a listing.
const ROW_CHARS: usize = 120;

/// Characters of one text of a step when several are shown: the beginning says what it was.
pub(super) const BRIEF_CHARS: usize = 240;

/// Characters of one text of a step that is shown alone: its longest fields together stay below the
/// 25,000 tokens at which clients cut a result.
pub(super) const FULL_CHARS: usize = 16_000;

/// A reward to three digits: the rest is noise, and takes room.
pub(super) fn score(reward: Option<&Reward>) -> Option<f64> {
    reward.map(|r| (r.score * 1000.0).round() / 1000.0)
}

/// `text` cut to `max` characters, saying how many are missing.
pub(super) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => {
            let (shown, rest) = text.split_at(end);
            format!("{shown}… ({} more characters)", rest.chars().count())
        }
    }
}

/// The same on one line.
pub(super) fn line(text: &str, max: usize) -> String {
    cut(text, max).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("åäö", 3), "åäö");
        assert_eq!(cut("åäöx", 3), "åäö… (1 more characters)");
        assert_eq!(line(" a\n\tb ", 9), "a b");
    }
}
