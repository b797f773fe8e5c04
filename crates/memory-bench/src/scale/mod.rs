//! What grows with the number of episodes in a local file, and what does not.
//!
//! Every size is measured in a process of its own, so that memory is its own too.
//!
//! - [`load`]: filling the file
//! - [`mod@measure`]: what the store's operations take
//! - [`json_column`]: the same metadata in a JSON column, searched with LIKE and `json_extract`

mod json_column;
mod load;
mod measure;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use memory_storage_turso::{TursoConfig, TursoStore};
use serde::{Deserialize, Serialize};

/// One size, measured. Times are medians.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Size {
    episodes: u64,
    load_per_second: f64,
    file_mb: f64,
    start_ms: f64,
    get_us: f64,
    list_first_us: f64,
    list_far_us: f64,
    queries: Vec<(String, f64)>,
    recall: measure::Recalls,
    /// LIKE and `json_extract` in microseconds, and how many times longer than the index they take.
    json_column: Option<json_column::Times>,
}

/// Measures each size in a child process and returns the table.
pub(crate) async fn measure(sizes: &[u64], dir: &Path, keep: bool) -> Result<Vec<Size>> {
    let mut measured = Vec::new();
    for size in sizes {
        let child = tokio::process::Command::new(std::env::current_exe()?)
            .args(["scale", "--json", "--alone", "--sizes", &size.to_string(), "--dir"])
            .arg(dir)
            .args(keep.then_some("--keep"))
            .stderr(std::process::Stdio::inherit())
            .output()
            .await?;
        if !child.status.success() {
            bail!("measuring {size} episodes ended with {}", child.status);
        }
        measured.extend(serde_json::from_slice::<Vec<Size>>(&child.stdout)?);
    }
    Ok(measured)
}

/// Measures one size in this process. With `keep` the file stays, and one that was kept is taken.
pub(crate) async fn measure_here(episodes: u64, dir: &Path, keep: bool) -> Result<Size> {
    std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let scratch = tempfile::tempdir_in(dir)?;
    let path =
        if keep { dir.join(format!("{episodes}.db")) } else { scratch.path().join("scale.db") };
    let load_per_second = loaded(&path, episodes).await?;
    let bytes = std::fs::metadata(&path)?.len();
    let start_ms = measure::start(&path).await?;
    let store = TursoStore::open(TursoConfig::at(&path)).await?;
    let get_us = measure::get(&store, episodes).await?;
    let queries = measure::queries(&store, episodes).await?;
    let (list_first_us, list_far_us) = measure::pages(&store, episodes).await?;
    let json_column = if episodes <= json_column::MAX_EPISODES {
        Some(json_column::compare(&store, &scratch.path().join("json.db"), episodes).await?)
    } else {
        None
    };
    let recall = measure::recall(store, &path, episodes).await?;
    Ok(Size {
        episodes,
        load_per_second,
        file_mb: bytes as f64 / 1e6,
        start_ms,
        get_us,
        list_first_us,
        list_far_us,
        queries,
        recall,
        json_column,
    })
}

/// Fills the file, unless that was done, and returns the rate in episodes per second.
async fn loaded(path: &Path, episodes: u64) -> Result<f64> {
    // Written when all is there: a file without it is one that was not finished.
    let rate = path.with_extension("rate");
    if let Ok(rate) = std::fs::read_to_string(&rate) {
        return rate.trim().parse().with_context(|| format!("{rate:?} is no rate"));
    }
    for name in [path.to_owned(), path.with_extension("db-wal"), path.with_extension("db-shm")] {
        if name.exists() {
            std::fs::remove_file(name)?;
        }
    }
    let store = TursoStore::open(TursoConfig::at(path)).await?;
    let per_second = load::fill(&store, episodes).await?;
    store.close().await;
    std::fs::write(&rate, per_second.to_string())?;
    Ok(per_second)
}

/// The sizes side by side, each figure also against that of the first size.
pub(crate) fn markdown(sizes: &[Size]) -> String {
    let mut out = String::new();
    let head: Vec<String> = sizes.iter().map(|s| s.episodes.to_string()).collect();
    let _ = writeln!(out, "| episodes | {} |", head.join(" | "));
    let _ = writeln!(out, "|---|{}", "--:|".repeat(sizes.len()));
    let mut row = |name: &str, of: &dyn Fn(&Size) -> f64| {
        let first = sizes.first().map_or(0.0, of);
        let cells: Vec<String> = sizes
            .iter()
            .enumerate()
            .map(|(i, size)| {
                let times = of(size) / first;
                let against = if i == 0 { String::new() } else { format!(" ({times:.2}x)") };
                format!("{}{against}", shown(of(size)))
            })
            .collect();
        let _ = writeln!(out, "| {name} | {} |", cells.join(" | "));
    };
    row("load, episodes/s", &|s| s.load_per_second);
    row("file, MB", &|s| s.file_mb);
    row("start to first get, ms", &|s| s.start_ms);
    row("get, us", &|s| s.get_us);
    row("list, page 1, us", &|s| s.list_first_us);
    row("list, page 10,000 or the last, us", &|s| s.list_far_us);
    for (i, (name, _)) in sizes.first().map_or(&[][..], |s| &s.queries).iter().enumerate() {
        let of = |s: &Size| s.queries.get(i).map_or(f64::NAN, |(_, us)| *us);
        row(&format!("list where {name}, us"), &of);
    }
    row("recall of a task, ms", &|s| s.recall.task);
    row("recall of a task, p95, ms", &|s| s.recall.task_p95);
    row("recall by common words, ms", &|s| s.recall.common);
    row("resident memory by then, MB", &|s| s.recall.resident_mb);
    row("recall by common words, every match weighed, ms", &|s| s.recall.complete);
    let column = |of: fn(&json_column::Times) -> f64| {
        move |s: &Size| s.json_column.as_ref().map_or(f64::NAN, of)
    };
    row("JSON column, LIKE: times the index", &column(|c| c.like_times));
    row("JSON column, json_extract: times the index", &column(|c| c.extract_times));
    out
}

fn shown(value: f64) -> String {
    match value {
        v if v.is_nan() => "-".into(),
        v if v >= 100.0 => format!("{v:.0}"),
        v => format!("{v:.1}"),
    }
}
