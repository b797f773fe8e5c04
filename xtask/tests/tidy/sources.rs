//! Length and contents of the source files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{assert_none, root};

/// A file that one can still read in one sitting.
const MAX_LINES: usize = 600;

/// Every file of the project, relative to its root. What is built or fetched is not in it.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    collect(&root(), &mut found);
    assert!(found.len() > 10, "the project was not found: {found:?}");
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "node_modules", ".git"].contains(&name.as_str()) {
            collect(&path, found);
        } else if path.is_file() {
            found.push(path.strip_prefix(root()).unwrap().to_string_lossy().into_owned());
        }
    }
}

fn rust_sources() -> Vec<(String, String)> {
    let sources = files().into_iter().filter(|path| path.ends_with(".rs"));
    sources.map(|path| (path.clone(), fs::read_to_string(root().join(path)).unwrap())).collect()
}

#[test]
fn no_source_file_is_too_long() {
    let long = rust_sources().into_iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > MAX_LINES).then(|| format!("{path}: {lines} lines"))
    });
    assert_none(&format!("more than {MAX_LINES} lines"), &long.collect::<Vec<_>>());
}

#[test]
fn every_crate_opens_with_its_layout() {
    let crate_roots = rust_sources().into_iter().filter(|(path, _)| {
        let path = PathBuf::from(path);
        let in_src = path.parent().is_some_and(|folder| folder.ends_with("src"));
        in_src && (path.ends_with("lib.rs") || path.ends_with("main.rs"))
    });
    // A binary next to a library is a few lines: the library has the map.
    let lost = crate_roots.filter(|(path, text)| {
        let library = path.strip_suffix("main.rs").map(|folder| format!("{folder}lib.rs"));
        let beside_library = library.is_some_and(|library| root().join(library).exists());
        !beside_library && !text.lines().any(|line| line == "//! # Layout")
    });
    assert_none("without a `# Layout` map", &lost.map(|(path, _)| path).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_unfinished_or_silenced() {
    // In two parts each, so that this file keeps its own rule.
    let banned = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let banned = banned.into_iter().chain(["#[al", "#![al"].map(|start| format!("{start}low(")));
    let banned = banned.collect::<Vec<_>>();
    let mut found = Vec::new();
    for (path, text) in rust_sources() {
        for (number, line) in text.lines().enumerate() {
            let words = banned.iter().filter(|word| line.contains(word.as_str()));
            found.extend(words.map(|word| format!("{path}:{}: {word}", number + 1)));
        }
    }
    assert_none("unfinished, or a lint silenced without a reason (use `#[expect]`)", &found);
}

/// Where `unsafe` is let in: allocators of tests, which count.
const UNSAFE: [&str; 2] = [
    "crates/memory-storage-redb/tests/weights.rs",
    "crates/memory-storage-turso/tests/allocations.rs",
];

#[test]
fn unsafe_code_is_denied_but_where_it_is_listed() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.lines().any(|line| line == "unsafe_code = \"deny\""));
    let manifests = files().into_iter().filter(|path| path.ends_with("Cargo.toml"));
    let deaf = manifests.filter(|path| {
        let text = fs::read_to_string(root().join(path)).unwrap();
        path != "Cargo.toml" && !text.contains("[lints]\nworkspace = true")
    });
    assert_none("without the lints of the workspace", &deaf.collect::<Vec<_>>());
    // In two parts, so that this file keeps its own rule.
    let lint = concat!("unsafe", "_code");
    let let_in = rust_sources().into_iter().filter(|(path, text)| {
        !UNSAFE.contains(&path.as_str())
            && text.contains(lint)
            && !path.ends_with("tidy/sources.rs")
    });
    assert_none("lets in unsafe code", &let_in.map(|(path, _)| path).collect::<Vec<_>>());
}

#[test]
fn the_path_of_this_workspace_is_not_written_down() {
    let workspace = root().to_string_lossy().into_owned();
    // A workspace right below `/` has a name that relative paths have in them too.
    if workspace.matches('/').count() < 2 {
        return;
    }
    let found = files().into_iter().filter(|path| {
        // What is not text has nothing to read.
        fs::read_to_string(root().join(path)).is_ok_and(|text| {
            text.match_indices(&workspace).any(|(at, _)| {
                let before = text.get(..at).and_then(|text| text.chars().next_back());
                !before.is_some_and(|c| c.is_alphanumeric() || "._-}~".contains(c))
            })
        })
    });
    assert_none("an absolute path of this machine", &found.collect::<Vec<_>>());
}
