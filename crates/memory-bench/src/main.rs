//! Figures of memory-mcp on this machine, local file, release build.
//!
//! `cargo build --release && cargo run --release -p memory-bench -- [--json] [--data DIR]`
//!
//! # Layout
//!
//! - [`process`]: figures of the binary as a process: start-up, resident memory, import
//! - [`storage`]: figures of the library: saves, gets, recall
//! - [`figure`]: a named figure with its unit, printed as a table or as JSON
#![expect(clippy::print_stdout, reason = "the report goes to the terminal")]

mod figure;
mod process;
mod storage;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use figure::Figure;

struct Args {
    json: bool,
    data: PathBuf,
    binary: PathBuf,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = parse(std::env::args().skip(1))?;
    let mut figures = process::figures(&args.binary, &args.data).await?;
    figures.extend(storage::figures().await?);
    if args.json {
        println!("{}", figure::to_json(&figures)?);
    } else {
        figures.iter().for_each(|figure: &Figure| println!("{figure}"));
    }
    Ok(())
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args> {
    let own = std::env::current_exe().context("finding this program")?;
    let mut parsed = Args {
        json: false,
        data: "../shared/data".into(),
        binary: own.with_file_name("memory-mcp"),
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => parsed.json = true,
            "--data" => parsed.data = args.next().context("--data needs a folder")?.into(),
            "--binary" => parsed.binary = args.next().context("--binary needs a file")?.into(),
            other => bail!("unknown option {other}; there are --json, --data DIR, --binary FILE"),
        }
    }
    if !parsed.binary.is_file() {
        bail!("{} is missing; run `cargo build --release` first", parsed.binary.display());
    }
    Ok(parsed)
}
