//! Figures of the binary as a process: start-up, resident memory, import.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::figure::{Figure, percentile};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const LIST_TOOLS: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
const RECALL: &str = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"recall","arguments":{"task":"find the files that were changed and list them by name"}}}"#;

/// Start-up, tool definitions, memory, import, size of the binary.
pub(crate) async fn figures(binary: &Path, data: &Path) -> Result<Vec<Figure>> {
    let empty = tempfile::tempdir()?;
    let mut starts = Vec::new();
    let mut definitions = 0;
    let mut resident = 0.0;
    for _ in 0..5 {
        let began = Instant::now();
        let mut server = Server::spawn(binary, empty.path())?;
        let tools = server.tools().await?;
        starts.push(began.elapsed().as_secs_f64() * 1e3);
        definitions = tools.len();
        resident = server.resident_mib()?;
        server.stop().await?;
    }
    let mut figures = vec![
        Figure::new("spawn to tools/list, median of 5", percentile(&mut starts, 0.5), "ms"),
        Figure::new("tool definitions", definitions as f64, "bytes"),
        Figure::new("resident memory, empty", resident, "MiB"),
    ];
    if data.is_dir() {
        figures.extend(imported(binary, data).await?);
    } else {
        let name = format!("import: skipped, {} is not there", data.display());
        figures.push(Figure::new(name, 0.0, "episodes"));
    }
    let bytes = std::fs::metadata(binary)?.len();
    figures.push(Figure::new("binary", bytes as f64 / f64::from(1 << 20), "MiB"));
    Ok(figures)
}

async fn imported(binary: &Path, data: &Path) -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir()?;
    let began = Instant::now();
    let status = Command::new(binary)
        .args(["import", "--json", "--data-dir"])
        .args([dir.path(), data])
        .stdout(Stdio::null())
        .status()
        .await?;
    let seconds = began.elapsed().as_secs_f64();
    if !status.success() {
        bail!("import of {} ended with {status}", data.display());
    }
    let mut server = Server::spawn(binary, dir.path())?;
    server.tools().await?;
    server.call(RECALL, 3).await?;
    let resident = server.resident_mib()?;
    server.stop().await?;
    let count = count_episodes(binary, dir.path()).await?;
    Ok(vec![
        Figure::new("episodes imported", count, "episodes"),
        Figure::new("import rate, with learning and durable", count / seconds, "episodes/s"),
        Figure::new("resident memory, imported, after a recall", resident, "MiB"),
    ])
}

async fn count_episodes(binary: &Path, dir: &Path) -> Result<f64> {
    let output = Command::new(binary)
        .args(["export", "--kind", "episode", "--data-dir"])
        .arg(dir)
        .output()
        .await?;
    Ok(output.stdout.iter().filter(|byte| **byte == b'\n').count() as f64)
}

/// A server on stdio.
pub(crate) struct Server {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Server {
    fn spawn(binary: &Path, data_dir: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("serve").arg("--data-dir").arg(data_dir);
        Server::run(command)
    }

    /// Starts any server.
    pub(crate) fn run(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = child.stdout.take().context("no stdout")?;
        Ok(Server { child, stdin, lines: BufReader::new(stdout).lines() })
    }

    /// Opens the conversation; the text of the tool definitions.
    pub(crate) async fn tools(&mut self) -> Result<String> {
        self.call(INITIALIZE, 1).await?;
        self.send(INITIALIZED).await?;
        let answer = self.call(LIST_TOOLS, 2).await?;
        Ok(answer.pointer("/result/tools").context("no tools in the answer")?.to_string())
    }

    async fn call(&mut self, line: &str, id: u64) -> Result<Value> {
        self.send(line).await?;
        while let Some(line) = self.lines.next_line().await? {
            let answer: Value = serde_json::from_str(&line)?;
            if answer.get("id").and_then(Value::as_u64) == Some(id) {
                return Ok(answer);
            }
        }
        bail!("the server ended before answering")
    }

    async fn send(&mut self, line: &str) -> Result<()> {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.stdin.flush().await?)
    }

    /// `VmRSS` of proc(5).
    fn resident_mib(&self) -> Result<f64> {
        let pid = self.child.id().context("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib = line.split_whitespace().nth(1).context("no value")?.parse::<f64>()?;
        Ok(kib / 1024.0)
    }

    pub(crate) async fn stop(mut self) -> Result<()> {
        drop(self.stdin);
        self.child.wait().await?;
        Ok(())
    }
}
