//! Encodings and compression.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use memory_core::{Episode, EpisodeId};
use memory_storage_redb::stored;
use memory_storage_turso::payload::Payloads;

use crate::bench::Bench;
use crate::bench::row::{Better, Figure, Measured, Row};
use crate::bench::world::{Pair, Turns, configure};

/// What counts as a large payload in the plan.
const LARGE: usize = 10 * 1024;

fn episodes(bench: &Bench) -> Vec<Arc<Episode>> {
    (0..bench.amount(400, 40)).map(|n| bench.workload.episode("bench", n)).collect()
}

/// Encoding and decoding on both sides, in turns: seconds of a round.
fn in_turns(rounds: usize, mut once: impl FnMut(bool) -> Result<()>) -> Result<Turns> {
    let mut turns = Turns::default();
    for n in 0..rounds {
        let mut took = (0.0, 0.0);
        for on in [n % 2 == 0, n % 2 != 0] {
            let began = Instant::now();
            once(on)?;
            *(if on { &mut took.0 } else { &mut took.1 }) = began.elapsed().as_secs_f64();
        }
        turns.rounds.push(took);
    }
    Ok(turns)
}

/// The payloads that the settings of a side make.
fn payloads(bench: &Bench, settings: &[&str]) -> Result<Payloads> {
    Ok(Payloads::new(configure(&bench.dir, settings)?.payload))
}

fn turned(bench: &Bench, episodes: &[Arc<Episode>], [on, off]: [&Payloads; 2]) -> Result<Turns> {
    in_turns(bench.amount(12, 3), |is_on| {
        let payloads = if is_on { on } else { off };
        for episode in episodes {
            let bytes = payloads.encode_episode(episode)?;
            black_box(payloads.decode_episode(episode.id, episode.version, &bytes)?);
        }
        Ok(())
    })
}

/// Mean bytes of those that are wanted by their size as plain JSON.
fn mean_bytes(
    payloads: &Payloads,
    episodes: &[Arc<Episode>],
    wanted: impl Fn(usize) -> bool,
) -> Result<f64> {
    let (mut sum, mut count) = (0, 0);
    for episode in episodes {
        if wanted(serde_json::to_vec(&**episode)?.len()) {
            sum += payloads.encode_episode(episode)?.len();
            count += 1;
        }
    }
    Ok(sum as f64 / f64::from(count.max(1)))
}

pub(super) async fn codec(bench: &Bench, row: &Row) -> Result<Measured> {
    let episodes = episodes(bench);
    let (on, off) = (payloads(bench, &row.settings(true))?, payloads(bench, &row.settings(false))?);
    let turns = turned(bench, &episodes, [&on, &off])?;
    // As users have it: compressed.
    let packed = [payloads(bench, row.on)?, payloads(bench, row.off)?];
    let [packed_on, packed_off] = &packed;
    let all = |payloads| mean_bytes(payloads, &episodes, |_| true);
    Ok(Measured {
        timing: Some(turns.timing("us to encode and decode", 1e6 / episodes.len() as f64)),
        figures: vec![
            Figure::new("bytes an episode", all(&on)?, all(&off)?, Better::Lower),
            Figure::new(
                "bytes compressed, the default",
                all(packed_on)?,
                all(packed_off)?,
                Better::Lower,
            ),
        ],
        notes: vec![
            "Text is most of an episode, and text is as long in either; compressed, the format hardly \
             matters for size."
                .into(),
        ],
    })
}

pub(super) async fn compression(bench: &Bench, row: &Row) -> Result<Measured> {
    let episodes = episodes(bench);
    let (on, off) = (payloads(bench, &row.settings(true))?, payloads(bench, &row.settings(false))?);
    let gzip = payloads(bench, &["payload.compression=gzip"])?;
    let turns = turned(bench, &episodes, [&on, &off])?;
    let part =
        |payloads, large: bool| mean_bytes(payloads, &episodes, |bytes| !large || bytes > LARGE);
    let mut figures = vec![
        Figure::new("bytes an episode", part(&on, false)?, part(&off, false)?, Better::Lower),
        Figure::new(
            "bytes an episode over 10 KB",
            part(&on, true)?,
            part(&off, true)?,
            Better::Lower,
        ),
    ];
    let pair = Pair::anywhere(bench, &row.settings(true), &row.settings(false)).await?;
    let before = [pair.on.counts()?, pair.off.counts()?];
    let count = bench.amount(1_000, 100);
    pair.fill(bench, "bench", count).await?;
    let [on_before, off_before] = before;
    let did = [pair.on.counts()? - on_before, pair.off.counts()? - off_before];
    if let (Some(on), Some(off)) = (pair.on.bytes_on_disk(), pair.off.bytes_on_disk()) {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        figures.push(Figure::new("MB of database and log", mb(on), mb(off), Better::Lower));
    }
    if pair.on.proxy.is_some() {
        let [on, off] = did.map(|did| (did.bytes_up + did.bytes_down) as f64 / 1e6);
        figures.push(Figure::new("MB on the wire, saving", on, off, Better::Lower));
    }
    Ok(Measured {
        timing: Some(turns.timing("us to encode and decode", 1e6 / episodes.len() as f64)),
        figures,
        notes: vec![
            format!(
                "gzip: {:.0} bytes an episode, {:.0} over 10 KB.",
                part(&gzip, false)?,
                part(&gzip, true)?
            ),
            "The time is its price. With the shipped dictionary; a project of 200 episodes gets one of \
             its own, which makes them smaller still."
                .into(),
        ],
    })
}

pub(super) async fn postcard(bench: &Bench, _row: &Row) -> Result<Measured> {
    let episodes = episodes(bench);
    let turns = in_turns(bench.amount(12, 3), |on| {
        for episode in &episodes {
            if on {
                let body = stored::encode_body(episode)?;
                black_box(stored::decode_body(&body)?);
            } else {
                let body = serde_json::to_vec(&**episode)?;
                black_box(serde_json::from_slice::<Episode>(&body)?);
            }
        }
        Ok(())
    })?;
    let (mut postcard, mut json) = (0, 0);
    for episode in &episodes {
        postcard += stored::encode_body(episode)?.len();
        json += serde_json::to_vec(&**episode)?.len();
    }
    let n = episodes.len() as f64;
    let (flipped, noticed) = flips(&episodes)?;
    ensure!(
        noticed == flipped,
        "of {flipped} flipped bits of a cached entry {noticed} were noticed"
    );
    Ok(Measured {
        timing: Some(turns.timing("us to encode and decode", 1e6 / n)),
        figures: vec![Figure::new(
            "bytes an entry",
            f64::from(u32::try_from(postcard)?) / n,
            f64::from(u32::try_from(json)?) / n,
            Better::Lower,
        )],
        notes: vec![format!(
            "Values stored and cached go through one checksummed envelope: of {flipped} flipped bits \
             of a cached entry {noticed} were noticed."
        )],
    })
}

/// Flips every bit of a cached entry, one at a time: how many, and how many were noticed. The
/// smallest entry, so that it is quick.
fn flips(episodes: &[Arc<Episode>]) -> Result<(usize, usize)> {
    let mut smallest: Option<(EpisodeId, Vec<u8>)> = None;
    for episode in episodes {
        let entry = stored::encode_episode(1, episode)?;
        if smallest.as_ref().is_none_or(|(_, held)| entry.len() < held.len()) {
            smallest = Some((episode.id, entry));
        }
    }
    let (id, good) = smallest.context("there are no episodes")?;
    ensure!(stored::decode_episode(id, &good).is_ok(), "a whole entry does not decode");
    let mut noticed = 0;
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        if let Some(byte) = bad.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        noticed += usize::from(stored::decode_episode(id, &bad).is_err());
    }
    Ok((good.len() * 8, noticed))
}
