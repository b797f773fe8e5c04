//! Stored bytes that are not what was written.

use std::io::{Read, Seek, SeekFrom, Write as _};

use memory_core::envelope::{Codec, Compression};
use memory_core::store::{Filter, ListQuery, Write};
use memory_core::{EpisodeStore, Error};
use memory_storage_turso::{PayloadConfig, TursoConfig, TursoStore};
use memory_testkit::generate::Random;
use memory_testkit::story::saving::full_episode;
use memory_testkit::story::{found, get, only, project, running, save, steps_of, write};

use super::support::{database, engine, open};

#[tokio::test]
async fn flipped_bits_of_a_payload_are_detected() {
    let (_directory, path) = database();
    let store = open(&path).await;
    let e = full_episode(&project("flip"));
    save(&store, &e, 0).await.unwrap();
    let connection = engine(&path).await;
    let row = connection.query("SELECT payload FROM episodes", ()).await.unwrap();
    let row = { row }.next().await.unwrap().unwrap();
    let payload: Vec<u8> = row.get(0).unwrap();
    let mut random = Random::new(1);
    for _ in 0..100 {
        let mut flipped = payload.clone();
        let bit = random.below(payload.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        let update = "UPDATE episodes SET payload = ?1";
        connection.execute(update, [libsql::Value::Blob(flipped)]).await.unwrap();
        let error = store.get(&only(&e.project), &[e.id]).await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "bit {bit}: {error}");
        assert!(error.to_string().contains(&e.id.to_string()), "{error}");
    }
    // It can still be forgotten.
    write(&store, Write::Forget(memory_testkit::story::forget_of(&e))).await.unwrap();
    assert!(get(&store, &e).await.is_none());
}

/// Payloads of another episode, of another setting, and without an envelope.
#[tokio::test]
async fn readers_go_by_the_header_of_each_row() {
    let (_directory, path) = database();
    let p = project("codec");
    let (mut one, other) = (full_episode(&p), full_episode(&p));
    save(&open(&path).await, &one, 0).await.unwrap();
    let payload = PayloadConfig { codec: Codec::Json, compression: Compression::None };
    let json = TursoConfig { payload, ..TursoConfig::at(&path) };
    let store = TursoStore::open(json).await.unwrap();
    save(&store, &other, 0).await.unwrap();
    let open_one = running(&p, "steps in both codecs");
    save(&store, &open_one, 0).await.unwrap();
    write(&store, Write::AppendSteps(steps_of(&open_one, &["json"]))).await.unwrap();
    let packed = open(&path).await;
    write(&packed, Write::AppendSteps(steps_of(&open_one, &["messagepack"]))).await.unwrap();
    for store in [&store, &packed] {
        assert_eq!(*get(store, &one).await.unwrap(), one);
        assert_eq!(*get(store, &other).await.unwrap(), other);
        assert_eq!(get(store, &open_one).await.unwrap().steps.len(), 2);
    }

    let connection = engine(&path).await;
    one.task_description = "plain JSON, put there by hand".into();
    let put = "UPDATE episodes SET payload = ?1 WHERE id = ?2";
    let plain = serde_json::to_vec(&one).unwrap();
    let id = |e: &memory_core::Episode| libsql::Value::Blob(e.id.as_bytes().to_vec());
    connection.execute(put, [libsql::Value::Blob(plain.clone()), id(&one)]).await.unwrap();
    assert_eq!(*get(&store, &one).await.unwrap(), one);
    connection.execute(put, [libsql::Value::Blob(plain), id(&other)]).await.unwrap();
    let error = store.get(&only(&p), &[other.id]).await.unwrap_err();
    assert!(error.to_string().contains("its payload is that of episode"), "{error}");
}

/// Whatever is read from a damaged file is either right or an error; nothing ends the process.
#[tokio::test]
async fn damaged_file_never_gives_a_wrong_episode() {
    let (_directory, path) = database();
    let p = project("pages");
    let store = open(&path).await;
    let episodes: Vec<_> = (0..60).map(|_| full_episode(&p)).collect();
    for e in &episodes {
        save(&store, e, 0).await.unwrap();
    }
    store.close().await;
    let length = std::fs::metadata(&path).unwrap().len();
    let mut random = Random::new(2);
    let (mut right, mut told) = (0, 0);
    for _ in 0..40 {
        let copy = path.with_file_name("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        let mut file = std::fs::File::options().read(true).write(true).open(&copy).unwrap();
        for _ in 0..8 {
            let at = 100 + random.bits() % (length - 100);
            let mut byte = [0];
            file.seek(SeekFrom::Start(at)).unwrap();
            file.read_exact(&mut byte).unwrap();
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&[byte[0] ^ (1 << random.below(8))]).unwrap();
        }
        drop(file);
        let Ok(store) = TursoStore::open(TursoConfig::at(&copy)).await else {
            told += 1;
            continue;
        };
        for e in &episodes {
            match store.get(&only(&p), &[e.id]).await {
                Ok(read) => {
                    if let Some(read) = read.first().unwrap() {
                        assert_eq!(**read, *e);
                        right += 1;
                    }
                }
                Err(_) => told += 1,
            }
        }
        let query =
            ListQuery { scope: only(&p), filter: Filter::default(), after: None, limit: 100 };
        let _ = store.list(&query).await;
        let _ = save(&store, &running(&p, "one more"), 0).await;
        store.close().await;
    }
    assert!(right > 1000 && told > 0, "{right} right, {told} told");
    let _ = found(&open(&path).await, &p, "login").await;
}
