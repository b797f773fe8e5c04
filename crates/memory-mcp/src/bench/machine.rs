//! What a benchmark ran on.

use std::fs;

use serde::Serialize;

/// The machine and the versions.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Threads that run at a time.
    pub cores: usize,
    /// The operating system and its kernel.
    pub system: String,
    /// Whether the program was built with optimisation.
    pub release_build: bool,
    /// Runnable tasks of the last minute, on average, before the measurements.
    pub load_before: String,
    /// The libSQL server.
    pub server: String,
}

impl Machine {
    /// This one, now; `server` is what its libSQL server calls itself.
    pub fn observe(server: String) -> Self {
        let processor = first_value("/proc/cpuinfo", "model name").unwrap_or("unknown".into());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Machine {
            processor,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, kernel.trim()),
            release_build: !cfg!(debug_assertions),
            load_before: load.split(' ').next().unwrap_or_default().into(),
            server,
        }
    }
}

fn first_value(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}
