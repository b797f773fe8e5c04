//! Errors and actions without their particulars, so that equal ones of different runs meet.

use crate::episode::Step;

/// Characters of an error signature: the first clause says what kind of error it is.
const MAX_SIGNATURE_CHARS: usize = 120;

/// Bytes of an error that are looked at for its signature.
const MAX_ERROR_BYTES: usize = 4096;

/// Characters of a quoted string; a longer one is two stray quotes.
const MAX_QUOTED_CHARS: usize = 200;

/// Programs of one command line that are named in its shape.
const MAX_PROGRAMS: usize = 4;

/// Programs whose first argument says what they do.
const WITH_SUBCOMMAND: &[&str] = &[
    "apt",
    "apt-get",
    "aws",
    "az",
    "brew",
    "bundle",
    "cargo",
    "docker",
    "dotnet",
    "gcloud",
    "gh",
    "git",
    "go",
    "gradle",
    "helm",
    "kubectl",
    "make",
    "mvn",
    "npm",
    "npx",
    "pip",
    "pip3",
    "pnpm",
    "poetry",
    "python",
    "python3",
    "systemctl",
    "terraform",
    "uv",
    "yarn",
];

/// First words of statements in a query language.
const SQL_VERBS: &[&str] = &[
    "ALTER", "CREATE", "DELETE", "DESC", "DESCRIBE", "DROP", "EXPLAIN", "INSERT", "SELECT", "SHOW",
    "UPDATE", "USE", "WITH",
];

/// An error line without what differs from run to run: quoted text becomes `…`, numbers and dates
/// `N`, paths and URLs `PATH`, names with digits `ID`.
pub fn error_signature(error: &str) -> String {
    let unquoted =
        without_quotes(error.get(..error.floor_char_boundary(MAX_ERROR_BYTES)).unwrap_or(""));
    let mut out = String::new();
    for word in unquoted.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&particular(word));
        if out.chars().count() > MAX_SIGNATURE_CHARS {
            break;
        }
    }
    let end = out.char_indices().nth(MAX_SIGNATURE_CHARS).map_or(out.len(), |(i, _)| i);
    out.truncate(end);
    out.truncate(out.trim_end().len());
    out
}

/// Quoted strings become `…`. An apostrophe inside a word is no quote.
fn without_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or("");
        let opens = matches!(c, '\'' | '"' | '`') && !before.is_alphanumeric();
        let quoted = if opens { closing(after, c) } else { None };
        if let Some(tail) = quoted {
            out.push('…');
            before = c;
            rest = tail;
        } else {
            out.push(c);
            before = c;
            rest = after;
        }
    }
    out
}

/// What follows the closing quote, when there is one near and no letter stands behind it.
fn closing(after: &str, quote: char) -> Option<&str> {
    let window = after.char_indices().take(MAX_QUOTED_CHARS);
    let (at, _) = window.into_iter().find(|(_, c)| *c == quote)?;
    let tail = after.get(at + quote.len_utf8()..)?;
    (!tail.starts_with(char::is_alphanumeric)).then_some(tail)
}

fn particular(word: &str) -> String {
    let core = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/' && c != '…');
    let Some(start) = word.find(core).filter(|_| !core.is_empty()) else { return word.to_owned() };
    let has_digit = core.bytes().any(|b| b.is_ascii_digit());
    let has_letter = core.chars().any(char::is_alphabetic);
    let slashes = core.matches('/').count();
    let name = if core.contains("://") || slashes > 1 || (slashes == 1 && core.len() > 12) {
        "PATH"
    } else if has_digit && !has_letter {
        "N"
    } else if has_digit {
        "ID"
    } else {
        return word.to_owned();
    };
    let (head, tail) = word.split_at(start);
    let tail = tail.get(core.len()..).unwrap_or("");
    format!("{head}{name}{tail}")
}

/// What kind of action a step is: the tool, and for command lines the programs, for queries the
/// verb. `None` for speech, reasoning and checkpoints.
pub fn action_shape(step: &Step) -> Option<String> {
    let tool = step.tool.trim();
    if tool.is_empty() || step.is_checkpoint() {
        return None;
    }
    let lower = tool.to_ascii_lowercase();
    let detail = if lower.contains("sql") {
        sql_verb(&step.action)
    } else if is_shell(&lower) {
        programs(&step.action)
    } else {
        String::new()
    };
    Some(if detail.is_empty() { tool.to_owned() } else { detail })
}

/// True for tools that take a command line.
pub fn is_shell(tool: &str) -> bool {
    ["bash", "shell", "terminal", "console", "command", "powershell", "ctf"]
        .iter()
        .any(|name| tool.contains(name))
        || matches!(tool, "sh" | "zsh" | "cmd" | "run" | "exec")
}

fn sql_verb(statement: &str) -> String {
    let mut words = statement.split_whitespace().map(str::to_ascii_uppercase);
    let verb = words.next().unwrap_or_default();
    if !SQL_VERBS.contains(&verb.as_str()) {
        return String::new();
    }
    match (verb.as_str(), words.next()) {
        ("SHOW", Some(what)) => format!("SHOW {}", what.trim_end_matches(';')),
        ("DESC", _) => "DESCRIBE".into(),
        _ => verb,
    }
}

/// The programs of a command line: `find | sort | uniq`, `git commit`.
fn programs(command: &str) -> String {
    let mut out: Vec<(char, String)> = Vec::new();
    for (operator, segment) in segments(command) {
        let Some(name) = program(segment) else { continue };
        if name != "cd" || out.is_empty() {
            out.push((operator, name));
        }
        if out.len() > MAX_PROGRAMS {
            break;
        }
    }
    // `cd somewhere && do it` is about doing it.
    if out.len() > 1 && out.first().is_some_and(|(_, name)| name == "cd") {
        out.remove(0);
    }
    out.truncate(MAX_PROGRAMS);
    let mut text = String::new();
    for (i, (operator, name)) in out.iter().enumerate() {
        if i > 0 {
            text.push_str(if *operator == '|' { " | " } else { "; " });
        }
        text.push_str(name);
    }
    text
}

/// The parts of a command line between unquoted `|`, `;`, `&` and line ends, each with the operator
/// in front of it. A here-document's body is not looked into.
fn segments(command: &str) -> Vec<(char, &str)> {
    let (mut parts, mut start, mut operator) = (Vec::new(), 0, ';');
    let (mut quote, mut escaped, mut before) = (None, false, ' ');
    let end = command.find("<<").unwrap_or(command.len());
    for (i, c) in command.get(..end).unwrap_or(command).char_indices() {
        match quote {
            _ if escaped => escaped = false,
            _ if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '\'' | '"') => quote = Some(c),
            // `2>&1` is no operator.
            None if matches!(c, '|' | ';' | '\n') || (c == '&' && before != '>') => {
                parts.push((operator, command.get(start..i).unwrap_or("")));
                start = i + c.len_utf8();
                operator = c;
            }
            None => {}
        }
        before = c;
    }
    parts.push((operator, command.get(start..end).unwrap_or("")));
    parts
}

fn program(segment: &str) -> Option<String> {
    let mut words = segment.split_whitespace().skip_while(|word| {
        let assigns = word.split_once('=').is_some_and(|(name, _)| {
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty()
        });
        assigns || matches!(*word, "sudo" | "time" | "env" | "nohup" | "exec" | "then" | "do" | "!")
    });
    let first = words.next()?.trim_start_matches(['(', '{', '$', '`']);
    let name = first.rsplit('/').next().unwrap_or(first);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.' || c == '_')
        && name.len() <= 32
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+'));
    if !is_name {
        return None;
    }
    if WITH_SUBCOMMAND.contains(&name)
        && let Some(sub) =
            words.find(|word| !word.starts_with('-') || *word == "-c" || *word == "-m")
    {
        let plain = sub.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | ':'));
        return Some(if plain && sub.len() <= 20 { format!("{name} {sub}") } else { name.into() });
    }
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_errors_of_different_runs_have_equal_signatures() {
        for (a, b, signature) in [
            (
                "Error executing query: Table 'a.b' doesn't exist",
                "Error executing query: Table 'poker.people' doesn't exist",
                "Error executing query: Table … doesn't exist",
            ),
            (
                "Error: flight HAT030 not available on date 2024-05-13",
                "Error: flight HAT223 not available on date 2024-05-14",
                "Error: flight ID not available on date N",
            ),
            (
                "total price is 305, but paid 255.",
                "total price is 1203, but paid 833.",
                "total price is N, but paid N.",
            ),
            (
                "cat: /tmp/a/x.txt: No such file or directory",
                "cat: /var/y/z: No such file or directory",
                "cat: PATH: No such file or directory",
            ),
        ] {
            assert_eq!(error_signature(a), signature);
            assert_eq!(error_signature(b), signature);
        }
    }

    #[test]
    fn signatures_are_bounded_and_take_any_text() {
        assert!(error_signature(&"word ".repeat(10_000)).chars().count() <= MAX_SIGNATURE_CHARS);
        assert_eq!(error_signature("'"), "'");
        assert_eq!(error_signature("é'ü' \"日本\" — 'open"), "é'ü' … — 'open");
    }

    fn shape(tool: &str, action: &str) -> String {
        let step = Step { tool: tool.into(), action: action.into(), ..Step::default() };
        action_shape(&step).unwrap_or_default()
    }

    #[test]
    fn shapes_name_the_programs_and_verbs() {
        assert_eq!(
            shape("bash", "cd /x && A=1 sudo find . -name '*|*' 2>&1 | sort -u"),
            "find | sort"
        );
        assert_eq!(shape("Bash", "git -C repo commit -m 'x; y'"), "git repo");
        assert_eq!(shape("bash", "git commit -m 'x; y'"), "git commit");
        assert_eq!(shape("bash", "cat <<EOF > x\n rm | y\nEOF"), "cat");
        assert_eq!(shape("sql", "show tables;"), "SHOW TABLES");
        assert_eq!(shape("sql", "desc people"), "DESCRIBE");
        assert_eq!(shape("get_user", "{}"), "get_user");
        assert_eq!(shape("", "Hello"), "");
        assert_eq!(shape("bash", "'"), "bash");
    }
}
