//! Whether a value assigned to a telling name is a secret.

/// Characters below which nothing random can be told from a word.
const MIN_RANDOM_CHARS: usize = 12;

/// Characters of a password that is written as a literal.
const MIN_PASSWORD_CHARS: usize = 4;

/// Shannon entropy in bits per character: English identifiers of this length stay below 3.3 or
/// consist of words; random keys of 16 characters and more lie above.
const MIN_ENTROPY: f64 = 3.0;

/// How a value stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Between quotes: a literal.
    Quoted,
    /// Up to the next white space: perhaps code.
    Bare,
}

/// Beginnings (lower case) of values that stand for a secret instead of being one.
const PLACEHOLDERS: &[&str] = &[
    "$",
    "<",
    "{",
    "%",
    "*",
    "...",
    "[redacted",
    "xxx",
    "your",
    "my_",
    "my-",
    "example",
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "dummy",
    "null",
    "none",
    "nil",
    "undefined",
    "true",
    "false",
    "required",
    "optional",
    "string",
    "str",
    "redacted",
    "process.env",
    "os.environ",
    "os.getenv",
    "getenv",
    "env.",
    "env:",
    "env(",
    "@",
    "#",
];

/// The kind of secret that `value` under `name` is, if it is one.
pub(super) fn secret_kind(name: &str, value: &str, form: Form) -> Option<&'static str> {
    let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
    let value = value.trim();
    if is_placeholder(value) || value.to_ascii_lowercase() == name {
        return None;
    }
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&["password", "passwd", "pwd", "passphrase"]) {
        return is_password(value, form).then_some("password");
    }
    let kind = if ends(&["secret", "secrets"]) {
        "secret"
    } else if ends(&["token"]) {
        "token"
    } else if ends(&["credential", "credentials"]) {
        "credential"
    } else if ends(&["key"]) && is_key_name(&name) {
        "key"
    } else {
        return None;
    };
    let is_secret = match form {
        Form::Quoted => looks_random(value),
        Form::Bare => looks_random(value) && !is_code(value),
    };
    is_secret.then_some(kind)
}

fn is_key_name(name: &str) -> bool {
    let stem = name.strip_suffix("key").unwrap_or(name).trim_end_matches(['_', '-']);
    ["api", "access", "secret", "private", "auth", "encryption", "signing", "account"]
        .iter()
        .any(|word| stem.ends_with(word))
}

/// True for what stands where a secret would stand.
pub(super) fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let mut chars = value.chars();
    let first = chars.next();
    first.is_none()
        || chars.all(|c| Some(c) == first)
        || PLACEHOLDERS.iter().any(|start| lower.starts_with(start))
}

fn is_password(value: &str, form: Form) -> bool {
    let length = value.chars().count();
    let has_digit = value.bytes().any(|b| b.is_ascii_digit());
    let has_letter = value.chars().any(char::is_alphabetic);
    match form {
        // A literal is a password unless it is a sentence or a label.
        Form::Quoted => length >= MIN_PASSWORD_CHARS && !value.contains(char::is_whitespace),
        Form::Bare => length >= 6 && has_digit && has_letter && !is_code(value),
    }
}

/// True for text that is an expression, a path or a type rather than a literal.
fn is_code(value: &str) -> bool {
    value.contains(['(', ')', '[', ']', '{', '}', '<', '>', '\\'])
        || value.contains("::")
        || value.contains("->")
        || value.contains("//")
        || value.ends_with(':')
        || is_dotted_name(value)
}

/// `self.next_token`, `config.api_key`: names joined by dots.
fn is_dotted_name(value: &str) -> bool {
    value.contains('.')
        && value.split('.').all(|part| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_')
        })
}

/// True for a long mix of letters and digits that is not made of words.
pub(super) fn looks_random(value: &str) -> bool {
    value.chars().count() >= MIN_RANDOM_CHARS
        && !value.contains(char::is_whitespace)
        && value.bytes().any(|b| b.is_ascii_digit())
        && value.bytes().any(|b| b.is_ascii_alphabetic())
        && !is_made_of_words(value)
        && entropy(value) >= MIN_ENTROPY
}

/// `sk-estimator-container-id-1`: every part is a word or a number.
fn is_made_of_words(value: &str) -> bool {
    value.split(|c: char| !c.is_ascii_alphanumeric()).all(|part| {
        let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
        letters.bytes().all(|b| b.is_ascii_lowercase()) && part.len() - letters.len() <= 4
            || letters.bytes().all(|b| b.is_ascii_alphabetic()) && part.len() <= 12
            || letters.is_empty() && part.len() <= 10
    })
}

/// Shannon entropy of the bytes, in bits per byte.
fn entropy(value: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = value.len() as f64;
    let share = |&count: &u32| f64::from(count) / total;
    counts.iter().filter(|c| **c > 0).map(share).map(|p| -p * p.log2()).sum()
}
