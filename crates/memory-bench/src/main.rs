//! Benchmarks of memory-mcp, to be run as a release build on a machine that does nothing else.
//!
//! - `memory-bench figures`: the binary as a process, and the library on a local file
//! - `memory-bench start`: from the start of the process to the list of tools, beside the official server
//! - `memory-bench baseline`: the store against the engine by hand
//! - `memory-bench formats`: bytes and CPU of every codec and compression
//! - `memory-bench dictionary`: makes the dictionary that is shipped
//! - `memory-bench scale`: a local file of 10^4 to 10^6 episodes, and the index of metadata against JSON
//! - `memory-bench remote`: a real libSQL server at a distance, everything on against everything off
//! - `memory-bench restart`: the part of it about a server that dies and comes back
//! - `memory-bench staleness`: staleness by state and feed, against TTLs; the same on every machine
//!
//! # Layout
//!
//! - [`process`], [`storage`], [`cache`], [`hooks`]: the figures of `figures`
//! - [`baseline`], [`floor`]: the ratios of `baseline`, on a file and on a server
//! - [`mod@start`]: those of `start`
//! - [`formats`]: the table of `formats`, and the shipped dictionary
//! - [`mod@scale`]: the measurements of `scale`
//! - [`mod@remote`]: the measurements of `remote`
//! - [`figure`]: a named figure with its unit, printed as a table or as JSON
//! - [`plot`]: curves as an SVG file
//!
//! `staleness`, the ratios with their intervals and what is told of the machine are those of
//! `memory_mcp::bench`.
#![expect(clippy::print_stdout, reason = "the report goes to the terminal")]

mod baseline;
mod cache;
mod figure;
mod floor;
mod formats;
mod hooks;
mod plot;
mod process;
mod remote;
mod scale;
mod start;
mod storage;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use figure::Figure;
use memory_mcp::bench::{machine, ratio, staleness};

/// The binary's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// From the start of the process to the list of tools, taking turns with the official memory server.
    Start(Start),
    /// Reads, saves and bulk loads of the store against the engine by hand.
    Baseline,
    /// Bytes and CPU of every codec and compression, on recorded runs and on generated episodes.
    Formats(Formats),
    /// Makes the dictionary that is shipped, of the quickstart's sample runs.
    Dictionary(Dictionary),
    /// What grows with the number of episodes in a local file.
    Scale(Scale),
    /// A libSQL server 20 ms away: everything on against everything off.
    Remote(Remote),
    /// The part of `remote` about many clients and a server that dies and comes back.
    Restart(Remote),
    /// One part of `figures`, which needs a process of its own: what a million reads through the cache
    /// leave resident.
    #[command(hide = true)]
    Resident,
    /// What bounds the age of cached episodes, and what it costs: in virtual time, from a seed.
    Staleness {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct Figures {
    /// Recorded runs to import; without them that figure is left out.
    #[arg(long, value_name = "DIR", default_value = "../shared/data")]
    data: PathBuf,
    /// The memory-mcp to measure; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Measure the hooks alone: seconds.
    #[arg(long)]
    hooks: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Start {
    /// A data directory of any size, to compare with an empty one.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The memory-mcp to measure; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Formats {
    /// Recorded runs; without them those rows are left out.
    #[arg(long, value_name = "DIR", default_value = "../shared/data")]
    data: PathBuf,
}

#[derive(Args)]
struct Dictionary {
    /// The sample runs, one record a line.
    #[arg(long, value_name = "FILE", default_value = "crates/memory-mcp/samples/runs.jsonl")]
    samples: PathBuf,
    /// Where to write it.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "crates/memory-storage-turso/src/payload/shipped.dict"
    )]
    out: PathBuf,
}

#[derive(Args)]
struct Scale {
    /// Numbers of episodes; 1,000,000 takes half an hour and 12 GB of disk.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000")]
    sizes: Vec<u64>,
    /// Where the files are made, and deleted afterwards.
    #[arg(long, value_name = "DIR", default_value = "target/scale")]
    dir: PathBuf,
    /// Leave the files where they are, and take those that an earlier run left.
    #[arg(long)]
    keep: bool,
    /// Print JSON in place of Markdown.
    #[arg(long)]
    json: bool,
    /// Measure in this process; for the child processes.
    #[arg(long, hide = true)]
    alone: bool,
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

impl Remote {
    fn effort(&self) -> &'static remote::Effort {
        if self.quick { &remote::Effort::QUICK } else { &remote::Effort::FULL }
    }
}

/// As the binary does.
#[cfg(target_os = "linux")]
fn avoid_huge_pages() {
    // A kernel without the setting has nothing to turn off.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(not(target_os = "linux"))]
fn avoid_huge_pages() {}

#[tokio::main]
async fn main() -> Result<()> {
    avoid_huge_pages();
    match Cli::parse().command {
        Command::Figures(args) => figures(args).await,
        Command::Start(args) => start(args).await,
        Command::Baseline => {
            println!("{}", baseline::measure().await?);
            if let Some(ratio) = floor::remote_save().await? {
                let ratio::Ratio { mean, low, high } = ratio;
                let what = "time of a save 20 ms away, times that of the same requests by hand";
                println!("{what}: {mean:.2} ({low:.2} to {high:.2})");
            }
            Ok(())
        }
        Command::Formats(args) => {
            println!("{}", formats::table(&args.data)?);
            Ok(())
        }
        Command::Dictionary(args) => {
            let dictionary = formats::shipped_dictionary(&args.samples)?;
            std::fs::write(&args.out, dictionary.bytes())
                .with_context(|| format!("writing {}", args.out.display()))?;
            println!("{dictionary:?} written to {}", args.out.display());
            Ok(())
        }
        Command::Scale(args) => scale(args).await,
        Command::Remote(args) => remote(args).await,
        Command::Restart(args) => restart(args).await,
        Command::Resident => {
            let cache::Resident { beyond, given_back, file } = cache::resident()?;
            println!("{beyond} {given_back} {file}");
            Ok(())
        }
        Command::Staleness { json } => staleness(json),
    }
}

async fn figures(args: Figures) -> Result<()> {
    let own = std::env::current_exe().context("finding this program")?;
    let binary = measured(args.binary)?;
    let mut figures = match args.hooks {
        true => Vec::new(),
        false => process::figures(&binary, &args.data).await?,
    };
    figures.extend(hooks::figures(&binary, &args.data).await?);
    if !args.hooks {
        figures.extend(storage::figures().await?);
        figures.extend(cache::from_file()?);
        figures.extend(resident(&own)?);
    }
    print(&figures, args.json)
}

async fn start(args: Start) -> Result<()> {
    let suites = memory_testkit::npm::suites().context("the official server is not installed")?;
    let binary = measured(args.binary)?;
    print(&start::figures(&binary, &suites, args.data_dir.as_deref()).await?, args.json)
}

/// The program to measure.
fn measured(given: Option<PathBuf>) -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    let binary = given.unwrap_or_else(|| own.with_file_name("memory-mcp"));
    if !binary.is_file() {
        bail!("{} is missing; run `cargo build --release` first", binary.display());
    }
    Ok(binary)
}

fn print(figures: &[Figure], json: bool) -> Result<()> {
    if json {
        println!("{}", figure::to_json(figures)?);
    } else {
        figures.iter().for_each(|figure| println!("{figure}"));
    }
    Ok(())
}

/// Runs [`cache::resident`] in a process that has done nothing else.
fn resident(own: &Path) -> Result<[Figure; 3]> {
    let output = std::process::Command::new(own).arg("resident").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut values = text.split_whitespace().map(str::parse::<f64>);
    let mut next = || {
        values.next().context("`resident` printed too little")?.context(text.clone().into_owned())
    };
    Ok([
        Figure::new("cache of 64 MiB, 1,000,000 reads: resident beyond it", next()?, "MiB"),
        Figure::new("then 4 MiB, 20,000 reads: resident beyond it", next()?, "MiB"),
        Figure::new("cache file of 128 MiB after these reads, allocated", next()?, "MiB"),
    ])
}

async fn scale(args: Scale) -> Result<()> {
    let measured = if args.alone {
        let mut measured = Vec::new();
        for size in &args.sizes {
            measured.push(scale::measure_here(*size, &args.dir, args.keep).await?);
        }
        measured
    } else {
        scale::measure(&args.sizes, &args.dir, args.keep).await?
    };
    let json = serde_json::to_string_pretty(&measured)?;
    println!("{}", if args.json { json } else { scale::markdown(&measured) });
    Ok(())
}

async fn remote(args: Remote) -> Result<()> {
    let report = remote::measure(args.effort()).await?;
    let json = serde_json::to_string_pretty(&report)?;
    let markdown = remote::markdown(&report);
    if let Some(dir) = &args.report {
        std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        write(&dir.join("remote.json"), &json)?;
        write(&dir.join("remote.md"), &markdown)?;
        write(&dir.join("burst.svg"), &remote::burst_plot(&report)?)?;
        write(&dir.join("restart.svg"), &remote::restart_plot(&report.restart)?)?;
    }
    println!("{}", if args.json { json } else { markdown });
    Ok(())
}

async fn restart(args: Remote) -> Result<()> {
    let runs = remote::restarts(args.effort()).await?;
    if let Some(dir) = &args.report {
        std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        write(&dir.join("restart.svg"), &remote::restart_plot(&runs)?)?;
    }
    let json = serde_json::to_string_pretty(&runs)?;
    println!("{}", if args.json { json } else { remote::restart_markdown(&runs) });
    Ok(())
}

fn staleness(json: bool) -> Result<()> {
    let rows = staleness::table();
    if json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    println!("{}", staleness::HEAD);
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
