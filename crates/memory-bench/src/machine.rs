//! What a benchmark ran on.

use std::fs;

use serde::Serialize;

/// The machine and the versions.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) processor: String,
    /// Threads that run at a time.
    pub(crate) cores: usize,
    /// The operating system and its kernel.
    pub(crate) system: String,
    /// Whether the program was built with optimisation.
    pub(crate) release_build: bool,
    /// Runnable tasks of the last minute, on average, before the measurements.
    pub(crate) load_before: String,
    /// The libSQL server, as its npm package says.
    pub(crate) server: String,
}

impl Machine {
    /// This one, now.
    pub(crate) fn observe() -> Self {
        let processor = first_value("/proc/cpuinfo", "model name").unwrap_or("unknown".into());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Machine {
            processor,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, kernel.trim()),
            release_build: !cfg!(debug_assertions),
            load_before: load.split(' ').next().unwrap_or_default().into(),
            server: server(),
        }
    }
}

fn first_value(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

fn server() -> String {
    let pinned = include_str!("../../memory-testkit/package.json");
    let package: serde_json::Value = serde_json::from_str(pinned).unwrap_or_default();
    let version = package.pointer("/dependencies/@sqld~1linux-x64");
    format!("sqld {}", version.and_then(|v| v.as_str()).unwrap_or("of unknown version"))
}
