//! How long an agent waits for a hook: the process from its start to its end, event by event, on a file and
//! with the database on a server 20 ms away.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use memory_testkit::proxy::FaultProxy;
use memory_testkit::sqld::{Options, Server};
use serde_json::{Value, json};

use crate::figure::{Figure, percentile};

/// Sessions that are played, each with every event once.
const SESSIONS: usize = 40;

/// To the server and back.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// Bytes of what a tool printed.
const OUTPUT_BYTES: usize = 4000;

/// The rows of every event, and how many requests hooks sent to the server.
pub(crate) async fn figures(binary: &Path, data: &Path) -> Result<Vec<Figure>> {
    let here = tempfile::tempdir()?;
    if data.is_dir() {
        // A memory as it is after some months.
        run(Command::new(binary).arg("import").arg(data).arg("--data-dir").arg(here.path()))?;
    }
    let mut figures = play(binary, here.path(), &[], "a file")?;
    let Some(server) = tokio::task::block_in_place(|| Server::start(Options::default())) else {
        figures.push(Figure::new("hooks before a server: skipped, it cannot be had", 0.0, "ms"));
        return Ok(figures);
    };
    let proxy = FaultProxy::start(server.address()).await;
    proxy.set_round_trip(ROUND_TRIP);
    let there = tempfile::tempdir()?;
    let settings = ["--database".to_owned(), proxy.url()];
    let before = proxy.counts().connections;
    let played = tokio::task::block_in_place(|| play(binary, there.path(), &settings, "a server"))?;
    figures.extend(played);
    let opened = proxy.counts().connections - before;
    figures.push(Figure::new("hooks: connections to the server", opened as f64, "connections"));
    Ok(figures)
}

fn play(binary: &Path, data_dir: &Path, settings: &[String], place: &str) -> Result<Vec<Figure>> {
    let mut times: Vec<(&str, Vec<f64>)> =
        events().into_iter().map(|(event, _)| (event, Vec::new())).collect();
    let shop = data_dir.join("shop");
    std::fs::create_dir_all(shop.join(".git"))?;
    for session in 0..SESSIONS {
        for ((_, times), (event, mut input)) in times.iter_mut().zip(events()) {
            let fields = input.as_object_mut().context("an event is an object")?;
            fields.insert("session_id".into(), format!("{place} {session}").into());
            fields.insert("cwd".into(), shop.display().to_string().into());
            let input = input.to_string();
            let mut command = Command::new(binary);
            command.args(["hook", event, "--data-dir"]).arg(data_dir).args(settings);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let began = Instant::now();
            let mut hook = command.spawn()?;
            hook.stdin.take().context("no stdin")?.write_all(input.as_bytes())?;
            let ended = hook.wait_with_output()?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
            if !ended.status.success() {
                bail!("hook {event} ended with {}", ended.status);
            }
        }
    }
    let mut figures = Vec::new();
    for (event, mut times) in times {
        for (name, share) in [("median", 0.5), ("p95", 0.95)] {
            let name = format!("hook {event}, {place}, {name} of {SESSIONS}");
            figures.push(Figure::new(name, percentile(&mut times, share), "ms"));
        }
    }
    Ok(figures)
}

/// The events of a session, as a client tells them.
fn events() -> Vec<(&'static str, Value)> {
    let output = "test login::expired ... ok\n".repeat(OUTPUT_BYTES / 27);
    let command = json!({ "command": "cargo test --all" });
    vec![
        ("session-start", json!({ "source": "startup" })),
        (
            "user-prompt-submit",
            json!({ "prompt": "find the files that were changed and fix the login test" }),
        ),
        (
            "post-tool-use-failure",
            json!({ "tool_name": "Bash", "tool_input": command, "error": "Exit code 101\nerror: no Clock" }),
        ),
        (
            "post-tool-use",
            json!({ "tool_name": "Bash", "tool_input": command, "tool_response": { "stdout": output } }),
        ),
        ("stop", json!({ "last_assistant_message": "The import was missing." })),
        ("session-end", json!({ "reason": "other" })),
    ]
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
