//! From the start of the process to the list of tools, beside the official memory server.

use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use memory_testkit::npm::Suites;
use tokio::process::Command;

use crate::figure::{Figure, percentile};
use crate::process::Server;

/// Each server is started so often, taking turns.
const ROUNDS: usize = 21;

/// A server to start.
struct Contender {
    name: &'static str,
    program: OsString,
    arguments: Vec<OsString>,
    /// Where the official server keeps its file.
    memory_file: OsString,
    samples: Vec<f64>,
}

/// Medians of all contenders, and the ratios: the official server's to ours on an empty directory, and
/// ours on `data_dir`, if one is given, to ours on an empty one.
pub(crate) async fn figures(
    binary: &Path,
    suites: &Suites,
    data_dir: Option<&Path>,
) -> Result<Vec<Figure>> {
    let home = tempfile::tempdir()?;
    let memory_file = home.path().join("memory.jsonl").into_os_string();
    let ours = |name, data_dir: &Path| Contender {
        name,
        program: binary.as_os_str().to_owned(),
        arguments: ["serve".into(), "--data-dir".into(), data_dir.as_os_str().to_owned()].into(),
        memory_file: memory_file.clone(),
        samples: Vec::new(),
    };
    let node = suites.script("@modelcontextprotocol/server-memory", "dist/index.js");
    let official = Contender {
        name: "official memory server, its JavaScript run by node",
        program: node.get_program().to_owned(),
        arguments: node.get_args().map(ToOwned::to_owned).collect(),
        memory_file: memory_file.clone(),
        samples: Vec::new(),
    };
    let mut contenders = vec![ours("memory-mcp, empty", home.path()), official];
    contenders.extend(data_dir.map(|dir| ours("memory-mcp, data of --data-dir", dir)));
    for round in 0..=ROUNDS {
        for contender in &mut contenders {
            let milliseconds = contender.start().await?;
            // The first makes files, and warms the page cache.
            if round > 0 {
                contender.samples.push(milliseconds);
            }
        }
    }
    let mut medians = Vec::new();
    let mut figures = Vec::new();
    for contender in &mut contenders {
        let median = percentile(&mut contender.samples, 0.5);
        medians.push(median);
        figures.push(Figure::new(contender.name, median, "ms"));
    }
    let empty = medians.first().copied().context("nothing was measured")?;
    let ratio = |name, of: Option<&f64>| of.map(|ms| Figure::new(name, ms / empty, "times"));
    figures.extend(ratio("official, of memory-mcp on an empty directory", medians.get(1)));
    figures.extend(ratio("data of --data-dir, of an empty directory", medians.get(2)));
    Ok(figures)
}

impl Contender {
    /// Milliseconds from the start of the process to the answer to `tools/list`.
    async fn start(&self) -> Result<f64> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env("MEMORY_FILE_PATH", &self.memory_file);
        command.stderr(std::process::Stdio::null());
        let began = Instant::now();
        let mut server = Server::run(command)?;
        server.tools().await?;
        let elapsed = began.elapsed().as_secs_f64() * 1e3;
        server.stop().await?;
        Ok(elapsed)
    }
}
