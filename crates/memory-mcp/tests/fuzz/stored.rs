//! Stored bytes: payloads, cache records, backups.

use std::path::Path;
use std::sync::Arc;

use memory_core::envelope::{self, Codec, Compression};
use memory_core::{EpisodeId, EpisodeStore};
use memory_storage_turso::backup::unpack;
use memory_storage_turso::payload::Payloads;
use memory_storage_turso::{Maintenance, PayloadConfig, TursoConfig, TursoStore};
use memory_testkit::fuzz::fuzz;
use memory_testkit::story::save;
use sha2::{Digest, Sha256};

use crate::{cases, episodes};

/// Most inputs have a checksum that is right: what lies behind it is to be reached.
#[test]
fn payloads() {
    let mut corpus = Vec::new();
    for compression in
        [Compression::None, Compression::Gzip, Compression::Zstd, Compression::ZstdDictionary]
    {
        for codec in [Codec::MessagePack, Codec::Json] {
            let payloads = Payloads::new(PayloadConfig { codec, compression });
            corpus.extend(episodes().iter().map(|e| payloads.encode_episode(e).unwrap()));
        }
    }
    let payloads = Payloads::new(PayloadConfig::default());
    let id: EpisodeId = episodes()[0].id;
    fuzz("payloads", &cases("payloads"), corpus, |input| {
        let as_it_is = payloads.decode_episode(id, 1, input);
        let resealed = input.get(..4).zip(input.get(16..)).and_then(|(head, body)| {
            let codec = if head[2] % 2 == 0 { Codec::MessagePack } else { Codec::Json };
            let compression = match head[3] % 4 {
                0 => Compression::None,
                1 => Compression::Gzip,
                2 => Compression::Zstd,
                _ => Compression::ZstdDictionary,
            };
            let dictionary = memory_storage_turso::payload::Dictionary::shipped().id();
            let length = u32::from_le_bytes(input.get(8..12)?.try_into().ok()?) as usize;
            let label = envelope::Label { codec, compression, dictionary, length };
            let sealed = envelope::seal_as(&label, body).ok()?;
            Some(payloads.decode_episode(id, 1, &sealed))
        });
        format!("{} {:?}", outcome(&as_it_is), resealed.as_ref().map(outcome))
    });
}

#[test]
fn cache_records() {
    let encode = |e: &memory_core::Episode| memory_storage_redb::stored::encode_body(e).unwrap();
    let corpus: Vec<_> = episodes().iter().map(encode).collect();
    fuzz("cache_records", &cases("cache_records"), corpus, |input| {
        outcome(&memory_storage_redb::stored::decode_body(input))
    });
}

fn outcome<T>(result: &Result<T, memory_core::Error>) -> String {
    match result {
        Ok(_) => "read".into(),
        Err(e) => e.to_string(),
    }
}

/// Most have a seal that is right about them, as somebody makes who means harm.
#[test]
fn backups() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let memory = Path::new("/dev/shm");
    let directory = match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    let (path, good) = (directory.path().join("memory.db"), directory.path().join("good"));
    runtime.block_on(async {
        let store = TursoStore::open(TursoConfig::at(&path)).await.unwrap();
        for episode in episodes() {
            save(&store, &episode, 0).await.unwrap();
        }
        store.close().await;
        let database = Maintenance::open(TursoConfig::at(&path)).await.unwrap();
        database.back_up(&good, &Arc::default()).await.unwrap();
        database.close().await;
    });
    let backup = std::fs::read(&good).unwrap();
    let file = directory.path().join("input");
    let mut n = 0_u64;
    fuzz("backups", &cases("backups"), vec![backup], |input| {
        n += 1;
        let pages = &input[..input.len().saturating_sub(56)];
        let input = if n.is_multiple_of(8) {
            input.to_vec()
        } else {
            let length = (pages.len() as u64).to_le_bytes();
            [pages, b"memory-mcp seal1", &length, &Sha256::digest(pages)].concat()
        };
        std::fs::write(&file, input).unwrap();
        runtime.block_on(async {
            let unpacked = match unpack(&file, directory.path(), Arc::default()).await {
                Ok(unpacked) => unpacked,
                Err(e) => return e.to_string(),
            };
            // What was let in can be read, or says why not.
            let Ok(store) = TursoStore::open(TursoConfig::at(unpacked.path())).await else {
                return "unpacked, but does not open".into();
            };
            let ids: Vec<_> = episodes().iter().map(|e| e.id).collect();
            let read = store.get(&memory_core::store::Scope::All, &ids).await;
            store.close().await;
            format!("unpacked, {}", outcome(&read))
        })
    });
}
