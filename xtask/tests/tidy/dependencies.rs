//! How many dependencies there are, under which licences, and which are banned.

use std::collections::BTreeSet;

use crate::licence::satisfied;
use crate::{assert_none, output};

/// External crates compiled into or for the binary on Linux: `cargo tree -p memory-mcp -e
/// no-dev`. Raising it is a line in a review, with the reason for what came in. 250: clients' files are
/// edited with their comments kept (`jsonc-parser`, `toml_edit` with four of its own), and the manual
/// page is made of the command line (`clap_mangen`, `roff`).
const MAX_DEPENDENCIES: usize = 250;

/// Licences that ask for no more than a notice. `CDLA-Permissive-2.0` is that of data (root
/// certificates).
const ALLOWED_LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that must not come in, also not through another one.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "TLS is rustls: a static binary, no system library"),
    ("rusqlite", "libSQL is the only SQLite in the process: two would not share locks"),
    ("libsqlite3-sys", "libSQL is the only SQLite in the process: two would not share locks"),
];

/// A crate from outside the workspace.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dependency {
    name: String,
    version: String,
    licence: String,
}

/// What `cargo tree` shows with these arguments, each crate once.
fn tree(arguments: &[&str]) -> BTreeSet<Dependency> {
    // `|` is in no name, version or licence.
    let common = ["tree", "--locked", "--prefix", "none", "--format", "{p}|{l}"];
    let text = output("cargo", &[&common, arguments].concat());
    text.lines().filter_map(dependency).collect()
}

/// Reads `name v1.2.3|MIT`, with `(proc-macro)` after the version, `(*)` at the end when shown
/// before, or neither; crates of the workspace, which show their path, are `None`.
fn dependency(line: &str) -> Option<Dependency> {
    let (package, licence) = line.trim_end_matches(" (*)").split_once('|')?;
    let mut words = package.split(' ');
    let (name, version) = (words.next()?, words.next()?);
    let in_workspace = words.any(|word| word.starts_with("(/"));
    let owned = |text: &str| text.trim().to_owned();
    (!in_workspace).then(|| Dependency {
        name: owned(name),
        version: owned(version),
        licence: owned(licence),
    })
}

/// Everything that any crate of the workspace needs on any platform, for tests too.
fn whole_workspace() -> BTreeSet<Dependency> {
    let all = tree(&["--workspace", "--target", "all", "--edges", "normal,build,dev"]);
    assert!(!all.is_empty(), "cargo tree was read wrongly: no dependency at all");
    all
}

#[test]
fn dependencies_stay_under_their_ceiling() {
    let shipped = tree(&["--package", "memory-mcp", "--edges", "no-dev"]);
    let count = shipped.len();
    assert!(
        count <= MAX_DEPENDENCIES,
        "{count} dependencies, the ceiling is {MAX_DEPENDENCIES}: do without, or raise it with a reason"
    );
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let other =
        whole_workspace().into_iter().filter(|it| !satisfied(&it.licence, ALLOWED_LICENCES));
    let other = other.map(|it| format!("{} {}: {:?}", it.name, it.version, it.licence));
    assert_none("not under an allowed licence", &other.collect::<Vec<_>>());
}

/// Not from a repository, nor from a folder outside: what is reviewed under a version stays that.
#[test]
fn every_dependency_comes_from_the_one_registry() {
    let lock = std::fs::read_to_string(crate::root().join("Cargo.lock")).unwrap();
    let sources = lock.lines().filter_map(|line| line.strip_prefix("source = "));
    let other = sources
        .filter(|source| *source != "\"registry+https://github.com/rust-lang/crates.io-index\"");
    assert_none("from elsewhere", &other.map(str::to_owned).collect::<Vec<_>>());
}

#[test]
fn no_banned_crate_comes_in() {
    let all = whole_workspace();
    let found = BANNED.iter().filter(|(name, _)| all.iter().any(|it| it.name == *name));
    let found = found.map(|(name, reason)| format!("{name}: {reason}"));
    assert_none("banned", &found.collect::<Vec<_>>());
}
