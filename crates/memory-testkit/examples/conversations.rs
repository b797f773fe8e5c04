//! Writes the conversations and their questions as `items.jsonl` and `questions.jsonl` into a folder,
//! for `memory-mcp eval retrieval`, and those that nothing was chosen by into `held-out` below it.

use std::error::Error;
use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use memory_testkit::conversations::{Set, conversations};
use serde::Serialize;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).ok_or("say which folder to write into")?;
    let dir = PathBuf::from(dir);
    for (set, dir) in [(Set::Development, dir.clone()), (Set::HeldOut, dir.join("held-out"))] {
        create_dir_all(&dir)?;
        let (items, questions) = conversations(set);
        write(&dir.join("items.jsonl"), &items)?;
        write(&dir.join("questions.jsonl"), &questions)?;
    }
    Ok(())
}

fn write<T: Serialize>(path: &Path, lines: &[T]) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(File::create(path)?);
    for line in lines {
        writeln!(out, "{}", serde_json::to_string(line)?)?;
    }
    out.flush()?;
    Ok(())
}
