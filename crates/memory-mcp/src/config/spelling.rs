//! Near matches for a misspelt name.

/// Below this similarity (0 to 1) a name is something else, not a misspelling.
const SIMILAR: f64 = 0.75;

/// The one of `names` that `given` was most likely meant to be.
pub fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let scored = names.into_iter().map(|name| (similarity(&given, name), name));
    scored.filter(|(score, _)| *score >= SIMILAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n)
}

/// A name without its section is as good as the whole: `memory_bytes` means `cache.memory_bytes`.
fn similarity(given: &str, name: &str) -> f64 {
    let last = name.rsplit('.').next().unwrap_or(name);
    strsim::jaro_winkler(given, name).max(strsim::jaro_winkler(given, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["data_dir", "project", "database.readers", "cache.memory_bytes"];

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        assert_eq!(nearest("cache.memory_byte", NAMES), Some("cache.memory_bytes"));
        assert_eq!(nearest("memory_bytes", NAMES), Some("cache.memory_bytes"));
        assert_eq!(nearest("datadir", NAMES), Some("data_dir"));
        assert_eq!(nearest("Project", NAMES), Some("project"));
    }

    #[test]
    fn something_else_finds_nothing() {
        assert_eq!(nearest("volume", NAMES), None);
        assert_eq!(nearest("", NAMES), None);
    }
}
