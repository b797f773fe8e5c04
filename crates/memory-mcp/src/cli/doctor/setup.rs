//! The clients: do they call this program, and does what they call exist.

use std::path::Path;

use super::Check;
use crate::cli::init::clients::Reach;
use crate::cli::init::{Inspected, inspect};

pub(super) fn checks() -> Vec<Check> {
    const NAME: &str = "client";
    let mut found = Vec::new();
    for reach in [Reach::User, Reach::Project] {
        match inspect(reach, "memory") {
            Ok(inspected) => found.extend(inspected),
            Err(e) => {
                return vec![Check::warn(NAME, e, "set HOME to the home directory of this user")];
            }
        }
    }
    let set_up: Vec<&Inspected> =
        found.iter().filter(|it| it.program.is_some() || it.problem.is_some()).collect();
    if set_up.is_empty() {
        let todo = "memory-mcp init, or memory-mcp init CLIENT";
        return vec![Check::warn(NAME, "no client is set up", todo)];
    }
    set_up.into_iter().map(|it| check(NAME, it)).collect()
}

fn check(name: &'static str, it: &Inspected) -> Check {
    let (client, file) = (it.client.name(), it.path.display());
    if let Some(problem) = &it.problem {
        return Check::warn(name, format!("{client}: {file}: {problem}"), "mend the file");
    }
    let program = it.program.as_deref().unwrap_or_default();
    if !exists(program) {
        return Check::fail(
            name,
            format!("{client}: {program} in {file} does not exist"),
            format!("memory-mcp init {client}"),
        );
    }
    if !it.missing.is_empty() {
        return Check::warn(
            name,
            format!("{client}: no hook for {}", it.missing.join(", ")),
            format!("memory-mcp init {client}"),
        );
    }
    Check::ok(name, format!("{client} calls {program}"))
}

/// True for a program that can be started: at its path, or by its name in one of those searched.
fn exists(program: &str) -> bool {
    if Path::new(program).components().count() > 1 {
        return Path::new(program).is_file();
    }
    let own = std::env::current_exe();
    let own_dir = own.ok().and_then(|path| path.parent().map(Path::to_owned));
    let path = crate::config::search_path();
    let dirs = std::env::split_paths(&path).chain(own_dir);
    dirs.into_iter().any(|dir| dir.join(program).is_file())
}
