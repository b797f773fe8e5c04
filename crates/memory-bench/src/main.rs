//! Benchmarks of memory-mcp, to be run as a release build on a machine that does nothing else.
//!
//! - `memory-bench figures`: the binary as a process, and the library on a local file
//! - `memory-bench remote`: a real libSQL server at a distance, everything on against everything off
//!
//! # Layout
//!
//! - [`process`], [`storage`]: the figures of `figures`
//! - [`mod@remote`]: the measurements of `remote`
//! - [`figure`]: a named figure with its unit, printed as a table or as JSON
//! - [`ratio`]: on against off, with an interval
//! - [`plot`]: curves as an SVG file
//! - [`machine`]: what it all ran on
#![expect(clippy::print_stdout, reason = "the report goes to the terminal")]

mod figure;
mod machine;
mod plot;
mod process;
mod ratio;
mod remote;
mod storage;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

/// Benchmarks of memory-mcp.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The binary as a process, and the library on a local file.
    Figures(Figures),
    /// A libSQL server 20 ms away: everything on against everything off.
    Remote(Remote),
}

#[derive(Args)]
struct Figures {
    /// Recorded runs to import; without them that figure is left out.
    #[arg(long, value_name = "DIR", default_value = "../shared/data")]
    data: PathBuf,
    /// The memory-mcp to measure; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Remote {
    /// Write remote.md, remote.json and the plots into this directory.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Print JSON in place of Markdown.
    #[arg(long)]
    json: bool,
    /// Seconds in place of minutes: shows that everything works, not how well.
    #[arg(long)]
    quick: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Figures(args) => figures(args).await,
        Command::Remote(args) => remote(args).await,
    }
}

async fn figures(args: Figures) -> Result<()> {
    let own = std::env::current_exe().context("finding this program")?;
    let binary = args.binary.unwrap_or_else(|| own.with_file_name("memory-mcp"));
    if !binary.is_file() {
        bail!("{} is missing; run `cargo build --release` first", binary.display());
    }
    let mut figures = process::figures(&binary, &args.data).await?;
    figures.extend(storage::figures().await?);
    if args.json {
        println!("{}", figure::to_json(&figures)?);
    } else {
        figures.iter().for_each(|figure| println!("{figure}"));
    }
    Ok(())
}

async fn remote(args: Remote) -> Result<()> {
    let effort = if args.quick { remote::Effort::QUICK } else { remote::Effort::FULL };
    let report = remote::measure(&effort).await?;
    let json = serde_json::to_string_pretty(&report)?;
    let markdown = remote::markdown(&report);
    if let Some(dir) = &args.report {
        std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        write(&dir.join("remote.json"), &json)?;
        write(&dir.join("remote.md"), &markdown)?;
        write(&dir.join("burst.svg"), &remote::burst_plot(&report)?)?;
        write(&dir.join("restart.svg"), &remote::restart_plot(&report)?)?;
    }
    println!("{}", if args.json { json } else { markdown });
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
