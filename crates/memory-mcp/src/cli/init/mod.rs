//! `memory-mcp init [CLIENT]...`: writes clients' configuration, and takes it out again.
//!
//! - [`clients`]: where each client has what, in which form
//! - `json`, `toml`: edits that keep everything else as it is
//! - `file`: a backup, a difference, a replacement in one step

pub mod clients;
mod file;
mod json;
mod toml;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json as object};

use super::args::{GlobalArgs, InitArgs};
use super::output::{self, CODE, DIM, Output, paint};
use super::{Exit, Failure};
use crate::config::Place;
use crate::hook::EventKind;
use clients::{Client, Dirs, Form, Reach, is_ours};

pub(super) fn run(args: &InitArgs, global: &GlobalArgs, out: &mut Output) -> Result<(), Failure> {
    let dirs = Dirs::of_process().map_err(Failure::failed)?;
    let asked = !args.clients.is_empty();
    let clients = if asked { args.clients.clone() } else { found(&dirs) };
    if clients.is_empty() {
        return Err(Failure::not_found("no client that is known was found on this machine")
            .hint("name one, for instance `memory-mcp init claude-code`; --help lists them"));
    }
    let settings = Settings::of(args, global)?;
    let mut done = Vec::new();
    for client in clients {
        for edit in edits(client, args, &settings, &dirs, asked)? {
            done.push(edit.apply(args.dry_run));
        }
    }
    print(&done, args, out)?;
    if done.iter().any(|done| matches!(done.change, Change::Refused { .. })) {
        return Err(Failure::Silent(Exit::Usage));
    }
    Ok(())
}

/// The clients on this machine.
fn found(dirs: &Dirs) -> Vec<Client> {
    Client::value_variants().iter().copied().filter(|client| client.is_there(dirs)).collect()
}

/// What clients are to call.
struct Settings {
    program: String,
    /// Settings of the command line that must hold for what clients call as well.
    flags: Vec<String>,
}

impl Settings {
    fn of(args: &InitArgs, global: &GlobalArgs) -> Result<Self, Failure> {
        let text = |value: &std::ffi::OsStr| -> Result<String, Failure> {
            value
                .to_str()
                .map(str::to_owned)
                .ok_or_else(|| Failure::usage("a setting is not UTF-8"))
        };
        let mut flags = Vec::new();
        // Clients start it in directories of their own.
        let absolute = |path: &Path| {
            std::path::absolute(path)
                .map(PathBuf::into_os_string)
                .map_err(|e| Failure::usage(format!("{} is no path: {e}", path.display())))
        };
        let database =
            global.database.as_deref().map(|database| match Place::parse(&text(database)?) {
                Ok(Place::File(path)) => absolute(&path),
                Ok(Place::Server(_)) => Ok(database.to_owned()),
                Err(problem) => Err(Failure::usage(format!("--database {problem}"))),
            });
        let named = [
            ("--project", global.project.clone()),
            ("--database", database.transpose()?),
            ("--data-dir", global.data_dir.as_deref().map(absolute).transpose()?),
            ("--config", global.config.as_deref().map(absolute).transpose()?),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                flags.extend([name.to_owned(), text(&value)?]);
            }
        }
        let program = match (&args.program, args.scope) {
            (Some(program), _) => program.clone(),
            // Shared with others, whose path differs.
            (None, Reach::Project) => "memory-mcp".to_owned(),
            (None, Reach::User) => own_program()?,
        };
        for set in &global.set {
            flags.extend(["--set".to_owned(), set.clone()]);
        }
        Ok(Settings { program, flags })
    }

    fn serve(&self) -> Vec<String> {
        [&["serve".to_owned()], &*self.flags].concat()
    }

    /// The command line of a hook, up to the event.
    fn hook_line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.flags);
        words.map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// Clients with a window do not have the path of a shell.
fn own_program() -> Result<String, Failure> {
    let own = std::env::current_exe()
        .map_err(|e| Failure::failed(format!("this program cannot find itself: {e}")))?;
    own.into_os_string().into_string().map_err(|_| {
        Failure::usage("the path of this program is not UTF-8").hint("name it with --program")
    })
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A file's text, changed, or why that cannot be.
type Rewrite = Box<dyn Fn(&str) -> Result<String, String>>;

/// One file to be changed.
struct Edit {
    client: Client,
    what: String,
    path: PathBuf,
    snippet: String,
    /// The text with ours in it, and without.
    with: Rewrite,
    without: Rewrite,
    remove: bool,
}

/// What became of a file.
struct Done {
    client: Client,
    what: String,
    path: PathBuf,
    change: Change,
}

enum Change {
    Unchanged,
    /// The word for it, and the lines.
    Made(&'static str, String),
    Refused {
        problem: String,
        snippet: String,
    },
}

fn edits(
    client: Client,
    args: &InitArgs,
    settings: &Settings,
    dirs: &Dirs,
    asked: bool,
) -> Result<Vec<Edit>, Failure> {
    let Some((path, form)) = client.servers(args.scope, dirs) else {
        if !asked {
            return Ok(Vec::new());
        }
        return Err(Failure::usage(format!("{} has no servers of a project", client.name()))
            .hint("set it up with --scope user"));
    };
    let (key, name) = (form.key(), args.name.clone());
    let entry = form.entry(&settings.program, &settings.serve());
    let snippet = match form {
        Form::Toml(_) => toml::with_server("", key, &name, &entry).unwrap_or_default(),
        _ => pretty(&object!({ key: { &name: &entry } })),
    };
    let toml = matches!(form, Form::Toml(_));
    let (for_removal, name_of_it) = (name.clone(), name.clone());
    let mut edits = vec![Edit {
        client,
        what: format!("server `{name_of_it}`"),
        path,
        snippet,
        with: Box::new(move |text| {
            if toml {
                toml::with_server(text, key, &name, &entry)
            } else {
                json::with_server(text, key, &name, &entry)
            }
        }),
        without: Box::new(move |text| {
            if toml {
                toml::without_server(text, key, &for_removal)
            } else {
                json::without_server(text, key, &for_removal)
            }
        }),
        remove: args.remove,
    }];
    if let Some(path) = client.hooks(args.scope, dirs).filter(|_| !args.no_hooks) {
        let line = settings.hook_line();
        edits.push(Edit {
            client,
            what: "hooks".to_owned(),
            path,
            snippet: json::with_hooks("{}", &line).unwrap_or_default(),
            with: Box::new(move |text| json::with_hooks(text, &line)),
            without: Box::new(json::without_hooks),
            remove: args.remove,
        });
    }
    Ok(edits)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

impl Edit {
    fn apply(self, dry_run: bool) -> Done {
        let change = self.change(dry_run).unwrap_or_else(|problem| Change::Refused {
            problem,
            snippet: if self.remove { String::new() } else { self.snippet.clone() },
        });
        Done { client: self.client, what: self.what, path: self.path, change }
    }

    fn change(&self, dry_run: bool) -> Result<Change, String> {
        let before = file::read(&self.path)?;
        let text = before.clone().unwrap_or_default();
        let after = if self.remove { self.removed(&text)? } else { Some((self.with)(&text)?) };
        // A new file ends with a line break, as one that somebody wrote does.
        let after = match after {
            Some(after) if before.is_none() && !after.ends_with('\n') => Some(after + "\n"),
            other => other,
        };
        if after == before || after.is_none() && before.is_none() {
            return Ok(Change::Unchanged);
        }
        let shown = file::difference(&text, after.as_deref().unwrap_or_default());
        let word = match (&before, self.remove) {
            (_, true) => "removed",
            (None, false) => "written",
            (Some(before), false) if (self.without)(before)? == *before => "added",
            _ => "updated",
        };
        if !dry_run {
            let failed = |e: std::io::Error| format!("it cannot be written: {e}");
            if let Some(before) = before.as_deref().filter(|_| !self.remove) {
                file::keep(&self.path, before).map_err(failed)?;
            }
            file::replace(&self.path, after.as_deref()).map_err(failed)?;
            if self.remove {
                // Absent when the file was ours from the beginning.
                let _ = std::fs::remove_file(file::backup_of(&self.path));
            }
        }
        Ok(Change::Made(word, shown))
    }

    /// The text as it would be had we never been there; `None` when there was none. Where nothing else
    /// was changed since, that is the backup to the byte.
    fn removed(&self, text: &str) -> Result<Option<String>, String> {
        let backup = file::read(&file::backup_of(&self.path))?;
        if let Some(backup) = backup
            && (self.without)(&backup)? == backup
            && (self.with)(&backup).is_ok_and(|with| with == text)
        {
            return Ok(Some(backup));
        }
        let without = (self.without)(text)?;
        let nothing_else = matches!(without.trim(), "" | "{}");
        Ok((!nothing_else || without == text && !text.is_empty()).then_some(without))
    }
}

fn print(done: &[Done], args: &InitArgs, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        let rows: Vec<Value> = done
            .iter()
            .map(|Done { client, what, path, change }| {
                let (change, lines, problem) = match change {
                    Change::Unchanged => ("unchanged", None, None),
                    Change::Made(word, lines) => (*word, Some(lines), None),
                    Change::Refused { problem, snippet } => {
                        ("refused", Some(snippet), Some(problem))
                    }
                };
                object!({
                    "client": client.name(), "what": what, "file": path, "change": change,
                    "lines": lines, "problem": problem,
                })
            })
            .collect();
        return out.json(&object!({ "dry_run": args.dry_run, "files": rows }));
    }
    for Done { client, what, path, change } in done {
        let place = format!("{}: {what} in {}", client.name(), path.display());
        match change {
            Change::Unchanged if args.remove => out.line(format_args!("{place}: not there"))?,
            Change::Unchanged => out.line(format_args!("{place}: there already"))?,
            Change::Made(word, lines) if args.dry_run => {
                out.line(format_args!("{place}: would be {word}"))?;
                for line in lines.lines() {
                    out.line(output::plain(line))?;
                }
            }
            Change::Made(word, _) => out.line(format_args!("{place}: {word}"))?,
            Change::Refused { problem, snippet } => {
                output::warn(format_args!("{place}: left as it is, {problem}"));
                if !snippet.is_empty() {
                    output::say("this is what belongs there:");
                    out.line(paint(CODE, snippet))?;
                }
            }
        }
    }
    let made = done.iter().any(|done| matches!(done.change, Change::Made(..)));
    if made && !args.dry_run {
        out.line(paint(DIM, "Restart the client to make it take effect."))?;
    }
    Ok(())
}

/// What a client's file says about us, for `doctor`.
pub(super) struct Inspected {
    pub(super) client: Client,
    pub(super) path: PathBuf,
    /// The program it starts; `None`: we are not set up there.
    pub(super) program: Option<String>,
    /// Events without a hook, where the client has hooks and some of them are ours.
    pub(super) missing: Vec<&'static str>,
    /// Why it cannot be read.
    pub(super) problem: Option<String>,
}

/// Looks into the files of the clients on this machine.
pub(super) fn inspect(reach: Reach, name: &str) -> Result<Vec<Inspected>, String> {
    let dirs = Dirs::of_process()?;
    Ok(found(&dirs)
        .into_iter()
        .filter_map(|client| inspect_one(client, reach, name, &dirs))
        .collect())
}

fn inspect_one(client: Client, reach: Reach, name: &str, dirs: &Dirs) -> Option<Inspected> {
    let (path, form) = client.servers(reach, dirs)?;
    let program = |path: &Path| -> Result<Option<String>, String> {
        let text = file::read(path)?.unwrap_or_default();
        if matches!(form, Form::Toml(_)) {
            return toml::server(&text, form.key(), name);
        }
        let entry = json::server(&text, form.key(), name)?;
        // Others call theirs `memory` too.
        Ok(entry.as_ref().and_then(Form::program).filter(|it| is_ours(it)).map(str::to_owned))
    };
    let hooked = |path: &Path| -> Result<Vec<EventKind>, String> {
        json::hooked(&file::read(path)?.unwrap_or_default())
    };
    let hooked = client.hooks(reach, dirs).map_or(Ok(Vec::new()), |path| hooked(&path));
    let (program, problem) = match (program(&path), &hooked) {
        (Err(e), _) => (None, Some(e)),
        (Ok(program), Err(e)) => (program, Some(e.clone())),
        (Ok(program), Ok(_)) => (program, None),
    };
    let hooked = hooked.unwrap_or_default();
    let missing = match hooked.is_empty() {
        true => Vec::new(),
        false => EventKind::ALL
            .into_iter()
            .filter(|kind| !hooked.contains(kind))
            .map(EventKind::client_name)
            .collect(),
    };
    Some(Inspected { client, path, program, missing, problem })
}
