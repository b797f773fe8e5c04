//! Writes the conversations and their questions as `items.jsonl` and `questions.jsonl` into a folder,
//! for `memory-mcp eval retrieval`.

use std::error::Error;
use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use memory_testkit::conversations::conversations;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).ok_or("say which folder to write into")?;
    let dir = PathBuf::from(dir);
    create_dir_all(&dir)?;
    let (items, questions) = conversations();
    let mut out = BufWriter::new(File::create(dir.join("items.jsonl"))?);
    for item in &items {
        writeln!(out, "{}", serde_json::to_string(item)?)?;
    }
    out.flush()?;
    let mut out = BufWriter::new(File::create(dir.join("questions.jsonl"))?);
    for question in &questions {
        writeln!(out, "{}", serde_json::to_string(question)?)?;
    }
    out.flush()?;
    Ok(())
}
