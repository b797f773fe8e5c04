//! The expressions that recognise secrets.

use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet};

use super::judge::{self, Form};
use super::marker;

/// One format of a secret.
struct Format {
    /// What stands in the marker.
    kind: &'static str,
    /// A short expression that every match of `pattern` contains. All of them run over every text
    /// as one set, so they hold no counted repetition: that would make the set's automaton large.
    screen: &'static str,
    /// The secret is the group `s` where there is one, else the whole match.
    pattern: &'static str,
    check: Check,
}

/// What a match of an expression needs besides the match.
#[derive(Clone, Copy)]
enum Check {
    /// Nothing: the format is unmistakable.
    None,
    /// The secret part must not be a placeholder such as `$PASSWORD`.
    Placeholder,
    /// The secret part must look random.
    Random,
    /// An assignment: name and value are judged together.
    Assignment,
}

const fn format(
    kind: &'static str,
    screen: &'static str,
    pattern: &'static str,
    check: Check,
) -> Format {
    Format { kind, screen, pattern, check }
}

const FORMATS: &[Format] = &[
    format(
        "aws-key",
        "AKIA|ASIA|ABIA|ACCA",
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
        Check::None,
    ),
    format("github-token", "gh[pousr]_", r"\bgh[pousr]_[A-Za-z0-9]{30,}", Check::None),
    format("github-token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{22,}", Check::None),
    format(
        "gitlab-token",
        "gl(?:pat|dt|rt|ptt|cbt|soat)-",
        r"\bgl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_-]{20,}",
        Check::None,
    ),
    format("slack-token", "xox[abeoprs]-", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", Check::None),
    format(
        "slack-webhook",
        r"hooks\.slack\.com",
        r"hooks\.slack\.com/services/(?P<s>T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]{16,})",
        Check::None,
    ),
    format(
        "stripe-key",
        "[rs]k_(?:live|test)_",
        r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
        Check::None,
    ),
    format("stripe-key", "whsec_", r"\bwhsec_[A-Za-z0-9+/=]{24,}", Check::None),
    format("api-key", "sk-", r"\bsk-[A-Za-z0-9_-]{20,}", Check::Random),
    format("google-key", "AIza", r"\bAIza[A-Za-z0-9_-]{35}", Check::None),
    format("google-key", "GOCSPX-", r"\bGOCSPX-[A-Za-z0-9_-]{20,}", Check::None),
    format("google-key", r"ya29\.", r"\bya29\.[A-Za-z0-9_-]{20,}", Check::None),
    format("npm-token", "npm_", r"\bnpm_[A-Za-z0-9]{36}\b", Check::None),
    format("pypi-token", "pypi-Ag", r"\bpypi-Ag[A-Za-z0-9_-]{50,}", Check::None),
    format("huggingface-token", "hf_", r"\bhf_[A-Za-z0-9]{30,}\b", Check::None),
    format("digitalocean-token", "do[opr]_v1_", r"\bdo[opr]_v1_[a-f0-9]{64}\b", Check::None),
    format("sendgrid-key", r"SG\.", r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,}", Check::None),
    format(
        "jwt",
        "eyJ",
        r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{5,}",
        Check::None,
    ),
    format(
        "private-key",
        "PRIVATE KEY",
        concat!(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=:,.\s\\-]*?",
            r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----",
        ),
        Check::None,
    ),
    // A block whose end was cut off.
    format(
        "private-key",
        "PRIVATE KEY",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?P<s>[A-Za-z0-9+/=\s\\]{40,})",
        Check::None,
    ),
    format("password", "://", r#"://[^\s/@:"'<>]*:(?P<s>[^\s/@"'<>]+)@"#, Check::Placeholder),
    format(
        "authorization",
        "(?i:authorization)",
        concat!(
            r#"(?i)\bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic|token|apikey)\s+"#,
            r"(?P<s>[A-Za-z0-9._~+/=-]{8,})",
        ),
        Check::Placeholder,
    ),
    format(
        "authorization",
        "(?i:bearer)",
        r"(?i)\bbearer\s+(?P<s>[A-Za-z0-9._~+/=-]{20,})",
        Check::Random,
    ),
    format(
        "password",
        "curl",
        r#"\bcurl\b[^\n|;]*?\s(?:-u|--user)[ =]?["']?[^\s:"']+:(?P<s>[^\s"']+)"#,
        Check::Placeholder,
    ),
    format(
        "",
        concat!(
            "(?i:passw|passphrase|pwd|secret|token|credential",
            "|(?:api|access|private|auth|encryption|signing|account)[_-]?key)",
        ),
        ASSIGNMENT,
        Check::Assignment,
    ),
];

/// A telling name, a separator, and a value that is quoted or goes on to the next white space.
/// White space alone separates only behind `--name`.
const ASSIGNMENT: &str = concat!(
    r"(?i)(?P<n>[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|pwd|secret|token|credential",
    r"|(?:api|access|private|auth|encryption|signing|account)[_-]?key))",
    r#"(?:\\?["'`]?\s{0,4}(?P<e>:=|=>|[:=])\s{0,4}|\s)"#,
    r#"(?:\\?"(?P<d>[^"\\\n]{4,})\\?"|'(?P<q>[^'\n]{4,})'|(?P<u>[^\s"'`,;]{4,}))"#,
);

static SCREEN: LazyLock<Option<RegexSet>> =
    LazyLock::new(|| RegexSet::new(FORMATS.iter().map(|format| format.screen)).ok());

static EXPRESSIONS: LazyLock<Vec<Option<Regex>>> =
    LazyLock::new(|| FORMATS.iter().map(|format| expression(format.pattern)).collect());

/// With ASCII word boundaries: no key has any other letters, and Unicode ones are slow.
fn expression(pattern: &str) -> Option<Regex> {
    Regex::new(&pattern.replace(r"\b", r"(?-u:\b)").replace(r"\s", r"[ \t\r\n]")).ok()
}

/// The text without secrets and how many there were; `None` when there are none.
pub(super) fn redact(text: &str) -> Option<(String, usize)> {
    let matching = SCREEN.as_ref()?.matches(text);
    if !matching.matched_any() {
        return None;
    }
    let mut found: Vec<(usize, usize, &'static str)> = Vec::new();
    for index in matching.iter() {
        let (Some(format), Some(Some(expression))) = (FORMATS.get(index), EXPRESSIONS.get(index))
        else {
            continue;
        };
        for captures in expression.captures_iter(text) {
            found.extend(secret(&captures, format));
        }
    }
    replaced(text, found)
}

/// Where the secret of a match is, if it is one.
fn secret(captures: &Captures<'_>, format: &Format) -> Option<(usize, usize, &'static str)> {
    if let Check::Assignment = format.check {
        return assigned(captures);
    }
    let value = captures.name("s").or_else(|| captures.get(0))?;
    let is_secret = match format.check {
        Check::None | Check::Assignment => true,
        Check::Placeholder => !judge::is_placeholder(value.as_str()),
        Check::Random => judge::looks_random(value.as_str()),
    };
    is_secret.then_some((value.start(), value.end(), format.kind))
}

fn assigned(captures: &Captures<'_>) -> Option<(usize, usize, &'static str)> {
    let name = captures.name("n")?.as_str();
    if captures.name("e").is_none() && !name.starts_with("--") {
        return None;
    }
    let (value, form) = match captures.name("d").or_else(|| captures.name("q")) {
        Some(value) => (value, Form::Quoted),
        None => (captures.name("u")?, Form::Bare),
    };
    let kind = judge::secret_kind(name, value.as_str(), form)?;
    Some((value.start(), value.end(), kind))
}

/// The first of overlapping finds wins, the longer one of two that begin together.
fn replaced(text: &str, mut found: Vec<(usize, usize, &'static str)>) -> Option<(String, usize)> {
    found.sort_by_key(|&(start, end, _)| (start, std::cmp::Reverse(end)));
    let (mut out, mut at, mut count) = (String::with_capacity(text.len()), 0, 0);
    for (start, end, kind) in found {
        if start < at {
            continue;
        }
        out.push_str(text.get(at..start)?);
        out.push_str(&marker(kind));
        at = end;
        count += 1;
    }
    if count == 0 {
        return None;
    }
    out.push_str(text.get(at..)?);
    Some((out, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_compiles() {
        assert!(SCREEN.is_some());
        assert!(EXPRESSIONS.iter().all(Option::is_some));
    }
}
