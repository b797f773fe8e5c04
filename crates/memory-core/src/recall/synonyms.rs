//! Words that say the same in requests and reports of agent work.
//!
//! General English and the trade's own words, by groups; no word of any data set. A synonym is
//! taken only where the query's own word is not found, and for a little less.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::text::analyze;

/// What a synonym is worth of the word itself.
pub(super) const SYNONYM: f64 = 0.8;

const GROUPS: &[&[&str]] = &[
    // What is asked for.
    &["list", "show", "display", "print", "enumerate", "output", "give", "return", "report"],
    &["find", "search", "locate", "look", "lookup", "seek", "discover", "retrieve", "fetch"],
    &["count", "number", "quantity", "amount", "total", "tally", "overall", "sum"],
    &["average", "mean", "avg"],
    &["maximum", "max", "largest", "greatest", "biggest", "highest", "most", "top", "longest"],
    &["minimum", "min", "smallest", "least", "lowest", "fewest", "shortest"],
    &["sort", "order", "rank", "arrange"],
    &["ascending", "increasing"],
    &["descending", "decreasing"],
    &["different", "distinct", "unique"],
    &["duplicate", "repeated", "redundant"],
    &["explain", "describe", "describing", "clarify"],
    &["compute", "calculate", "determine", "evaluate", "derive"],
    &["check", "verify", "test", "validate", "confirm", "ensure"],
    &["compare", "diff", "difference"],
    // What is done.
    &["create", "make", "write", "build", "generate", "produce", "construct", "implement"],
    &["add", "insert", "append", "include", "attach", "introduce"],
    &["remove", "delete", "erase", "drop", "rm", "purge", "clear", "discard"],
    &["change", "modify", "edit", "alter", "update", "adjust", "revise"],
    &["rename", "relabel"],
    &["move", "relocate", "transfer", "mv"],
    &["copy", "duplicate", "clone", "cp", "replicate"],
    &["replace", "substitute", "swap", "exchange"],
    &["convert", "transform", "translate", "turn", "cast"],
    &["fix", "repair", "resolve", "correct", "solve", "debug", "patch"],
    &["improve", "optimize", "enhance", "speed"],
    &["start", "begin", "launch", "run", "execute", "invoke"],
    &["stop", "end", "halt", "kill", "terminate", "finish"],
    &["install", "setup", "configure", "deploy"],
    &["download", "fetch", "wget", "curl", "pull"],
    &["compress", "zip", "archive", "gzip", "tar"],
    &["extract", "unpack", "unzip", "decompress"],
    &["decode", "decrypt", "decipher"],
    &["encode", "encrypt", "cipher"],
    &["merge", "combine", "join", "concatenate", "unite"],
    &["split", "divide", "separate", "partition"],
    &["book", "reserve", "reservation", "booking"],
    &["buy", "purchase", "order"],
    &["cancel", "revoke", "undo"],
    &["pay", "payment", "charge"],
    &["own", "have", "possess"],
    &["live", "reside"],
    // What it is done to.
    &["file", "document"],
    &["directory", "folder", "dir", "subdirectory", "subfolder"],
    &["path", "location"],
    &["function", "method", "routine", "procedure"],
    &["argument", "parameter", "option", "flag"],
    &["variable", "field", "attribute", "property", "column"],
    &["array", "list", "sequence", "vector"],
    &["dictionary", "dict", "map", "hash"],
    &["string", "text"],
    &["integer", "int", "number"],
    &["table", "relation"],
    &["row", "record", "entry", "line"],
    &["error", "exception", "failure", "fault", "bug", "crash", "defect", "issue", "problem"],
    &["broken", "failing", "fails", "failed", "wrong", "incorrect"],
    &["warning", "alert"],
    &["login", "signin", "authentication", "auth", "authenticate"],
    &["password", "passphrase", "credential"],
    &["database", "db"],
    &["repository", "repo"],
    &["configuration", "config", "setting", "preference"],
    &["dependency", "package", "library", "module"],
    &["command", "instruction"],
    &["name", "title", "label"],
    &["id", "identifier"],
    &["kind", "type", "category", "class"],
    &["year", "annual", "annum"],
    &["person", "people", "human", "individual"],
    &["student", "pupil", "learner"],
    &["teacher", "instructor", "tutor"],
    &["employee", "worker", "staff"],
    &["customer", "client", "user"],
    &["country", "nation", "state"],
    &["city", "town"],
    &["car", "vehicle", "automobile"],
    &["plane", "aircraft", "airplane"],
    &["flight", "trip", "journey"],
    &["bag", "baggage", "luggage", "suitcase"],
    &["price", "cost", "fee", "fare"],
    &["movie", "film"],
    &["song", "track"],
    &["given", "provided", "specified", "supplied"],
    &["contain", "include", "hold"],
    &["recent", "latest", "newest", "last"],
    &["first", "earliest", "initial", "oldest"],
    &["slow", "sluggish", "latency"],
    &["quick", "fast", "rapid"],
    &["empty", "blank"],
    &["above", "over", "exceed", "greater", "more", "larger"],
    &["below", "under", "less", "fewer", "smaller", "beneath"],
    &["without", "lacking", "missing", "no"],
];

static SYNONYMS: LazyLock<HashMap<String, Vec<String>>> = LazyLock::new(|| {
    let mut map: HashMap<String, Vec<String>> = HashMap::new();
    for group in GROUPS {
        let terms: Vec<String> = group.iter().map(|word| analyze(word)).collect();
        for term in &terms {
            let others = terms.iter().filter(|other| *other != term).cloned();
            map.entry(term.clone()).or_default().extend(others);
        }
    }
    map
});

/// The terms that mean about the same as `term`.
pub(super) fn synonyms(term: &str) -> &'static [String] {
    SYNONYMS.get(term).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synonyms_go_both_ways_and_by_stem() {
        assert!(synonyms("folder").iter().any(|term| term == "directori"));
        assert!(synonyms("directori").iter().any(|term| term == "folder"));
        assert!(synonyms("zebra").is_empty());
    }
}
