//! Bytes and CPU of every codec and compression, and the dictionary that is shipped.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use memory_core::envelope::{Codec, Compression};
use memory_core::record::Record;
use memory_core::{Episode, Step, Timestamp};
use memory_mcp::import::{ImportItem, ImportOptions, Importer, plan};
use memory_storage_turso::PayloadConfig;
use memory_storage_turso::payload::{Dictionary, Payloads, train};
use memory_testkit::generate;

const SEED: u64 = 0xF0;

/// Bytes of the generated episodes, and how many of each.
const SIZES: [(usize, u64); 5] =
    [(500, 400), (2_000, 400), (10_000, 200), (20_000, 100), (200_000, 20)];

/// Each figure of CPU is the best of so many passes: what disturbs a pass only makes it slower.
const PASSES: usize = 5;

const CODECS: [Codec; 2] = [Codec::Json, Codec::MessagePack];

/// A column of the table: a compression, and with which dictionary.
const COLUMNS: [(&str, Compression, bool); 5] = [
    ("none", Compression::None, false),
    ("gzip", Compression::Gzip, false),
    ("zstd", Compression::Zstd, false),
    ("zstd, shipped dictionary", Compression::ZstdDictionary, false),
    ("zstd, trained dictionary", Compression::ZstdDictionary, true),
];

/// The dictionary of the sample runs.
pub(crate) fn shipped_dictionary(samples: &Path) -> Result<Dictionary> {
    let text = std::fs::read_to_string(samples)
        .with_context(|| format!("reading {}", samples.display()))?;
    let mut episodes = Vec::new();
    for line in text.lines() {
        if let Record::Episode(episode) = Record::parse(line)? {
            episodes.push(episode);
        }
    }
    Ok(train(Codec::MessagePack, &episodes.iter().map(|e| &**e).collect::<Vec<_>>())?)
}

/// The table as Markdown.
pub(crate) fn table(data: &Path) -> Result<String> {
    let mut out = String::from(
        "| episodes | codec | compression | bytes | of JSON | encode, us | decode, us |\n\
         |---|---|---|---:|---:|---:|---:|\n",
    );
    if data.is_dir() {
        rows(&mut out, "recorded runs", &recorded(data)?)?;
    }
    for (bytes, count) in SIZES {
        let episodes: Vec<_> = (0..count).map(|n| generate::episode(SEED, n, bytes)).collect();
        let text = text_bytes(&episodes) as f64 / episodes.len() as f64 / 1e3;
        rows(&mut out, &format!("generated, {text:.1} KB of text"), &episodes)?;
    }
    Ok(out)
}

/// Bytes that are neither names nor marks of a format.
fn text_bytes(episodes: &[Episode]) -> usize {
    let steps = |e: &Episode| e.steps.iter().map(Step::size_bytes).sum::<usize>();
    episodes.iter().map(|e| e.task_description.len() + steps(e)).sum()
}

/// The recorded runs as an import makes them.
fn recorded(data: &Path) -> Result<Vec<Episode>> {
    let options = ImportOptions { project: "default".into(), default_time: Timestamp(0) };
    let mut episodes = Vec::new();
    for item in Importer::new(plan(&[data.to_owned()])?, options) {
        if let Ok(ImportItem::Episode(episode)) = item {
            episodes.push(*episode);
        }
    }
    Ok(episodes)
}

/// Every second episode is measured; a dictionary is trained on the others.
fn rows(out: &mut String, name: &str, episodes: &[Episode]) -> Result<()> {
    let measured: Vec<&Episode> = episodes.iter().step_by(2).collect();
    let others: Vec<&Episode> = episodes.iter().skip(1).step_by(2).collect();
    let mut json = 0;
    for episode in &measured {
        json += serde_json::to_vec(episode)?.len();
    }
    for codec in CODECS {
        for (column, compression, own) in COLUMNS {
            let payloads = Payloads::new(PayloadConfig { codec, compression });
            if own {
                for project in
                    measured.iter().map(|e| &e.project).collect::<std::collections::BTreeSet<_>>()
                {
                    payloads.add(project, train(codec, &others)?);
                }
            }
            let Cost { bytes, encode, decode } = cost(&payloads, &measured)?;
            let codec = format!("{codec:?}").to_lowercase();
            let each = bytes / measured.len().max(1);
            let part = bytes as f64 / json as f64 * 100.0;
            writeln!(
                out,
                "| {name} | {codec} | {column} | {each} | {part:.1}% | {encode:.1} | {decode:.1} |"
            )?;
        }
    }
    Ok(())
}

struct Cost {
    bytes: usize,
    /// Microseconds per episode.
    encode: f64,
    decode: f64,
}

fn cost(payloads: &Payloads, episodes: &[&Episode]) -> Result<Cost> {
    let (mut encode, mut decode) = (f64::MAX, f64::MAX);
    let mut stored = Vec::new();
    for _ in 0..PASSES {
        stored.clear();
        let began = Instant::now();
        for episode in episodes {
            stored.push(payloads.encode_episode(episode)?);
        }
        encode = encode.min(began.elapsed().as_secs_f64());
        let began = Instant::now();
        for (episode, bytes) in episodes.iter().zip(&stored) {
            black_box(payloads.decode_episode(episode.id, episode.version, bytes)?);
        }
        decode = decode.min(began.elapsed().as_secs_f64());
    }
    let each = 1e6 / episodes.len().max(1) as f64;
    let bytes = stored.iter().map(Vec::len).sum();
    Ok(Cost { bytes, encode: encode * each, decode: decode * each })
}
