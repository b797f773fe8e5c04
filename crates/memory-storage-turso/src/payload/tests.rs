//! Every codec with every compression, on whatever an episode may hold, and on damage.

use memory_core::envelope::{Label, MAX_RAW_BYTES, NO_DICTIONARY, open_as, seal_as};
use memory_core::record::Record;
use memory_core::{Error, MetadataValue, RawJson, Reward, RewardSource, Timestamp};
use memory_testkit::generate;
use proptest::prelude::*;

use super::*;

const CODECS: [Codec; 2] = [Codec::MessagePack, Codec::Json];

fn samples() -> Vec<Episode> {
    let text = include_str!("../../../memory-mcp/samples/runs.jsonl");
    let records = text.lines().map(|line| Record::parse(line).unwrap());
    records
        .filter_map(|record| match record {
            Record::Episode(episode) => Some(*episode),
            _ => None,
        })
        .collect()
}

/// Every codec with every compression, with the shipped dictionary and with a trained one.
fn all_ways() -> Vec<Payloads> {
    let samples = samples();
    let mut ways = Vec::new();
    for codec in CODECS {
        for compression in Compression::ALL {
            ways.push(Payloads::new(PayloadConfig { codec, compression }));
        }
        let trained = Payloads::new(PayloadConfig { codec, ..PayloadConfig::default() });
        let dictionary = train(codec, &samples.iter().collect::<Vec<_>>()).unwrap();
        trained.add("default", dictionary);
        ways.push(trained);
    }
    ways
}

prop_compose! {
    fn any_episode()(
        seed in any::<u64>(),
        bytes in prop_oneof![0..3_000_usize, 0..60_000_usize],
        texts in prop::collection::vec("\\PC{0,60}", 4),
        integer in any::<i64>(),
        real in prop::num::f64::NORMAL | prop::num::f64::ZERO,
        reward in prop::option::of(0.0..=1.0_f64),
    ) -> Episode {
        let mut episode = generate::episode(seed, seed % 1000, bytes);
        episode.task_description = texts[0].clone();
        episode.context.tags = texts.clone();
        episode.reflection.worked = vec![texts[1].clone()];
        episode.metadata.insert(texts[2].clone(), MetadataValue::Real(real));
        episode.metadata.insert("n".into(), MetadataValue::Integer(integer));
        episode.archived_at = Some(Timestamp(integer % 4_000_000_000_000_000));
        if let Some(step) = episode.steps.first_mut() {
            step.observation = texts[3].clone();
            step.parameters = RawJson::try_from(&serde_json::json!({ "q": texts[1] })).unwrap();
        }
        let components = [("made".to_owned(), real)].into();
        episode.reward =
            reward.map(|score| Reward { score, source: RewardSource::User, components });
        episode
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    /// Also when it is read under other settings than it was written under.
    #[test]
    fn any_episode_comes_back_from_any_codec_and_compression(episode in any_episode()) {
        for way in all_ways() {
            let stored = way.encode_episode(&episode).unwrap();
            let back = way.decode_episode(episode.id, episode.version, &stored).unwrap();
            prop_assert_eq!(&back, &episode);
            let elsewhere = Payloads { dictionaries: way.dictionaries.clone(), ..Payloads::default() };
            let back = elsewhere.decode_episode(episode.id, episode.version, &stored).unwrap();
            prop_assert_eq!(&back, &episode);
        }
    }

    #[test]
    fn any_damage_is_an_error_that_names_the_episode(
        episode in any_episode(), at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        for way in all_ways() {
            let stored = way.encode_episode(&episode).unwrap();
            let mut flipped = stored.clone();
            *at.get_mut(&mut flipped) ^= 1 << bit;
            for damaged in [&flipped, &stored[..at.index(stored.len())]] {
                let error = way.decode_episode(episode.id, 1, damaged).unwrap_err();
                prop_assert!(matches!(error, Error::Corrupt { .. }), "{}", error);
                prop_assert!(error.to_string().contains(&episode.id.to_string()));
            }
        }
    }

    /// A body that somebody made up and gave a right checksum: an error or an episode, never a panic.
    #[test]
    fn a_body_that_was_tampered_with_does_no_harm(
        episode in any_episode(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        length in prop_oneof![0..100_000_usize, Just(MAX_RAW_BYTES)],
    ) {
        for way in all_ways() {
            let stored = way.encode_episode(&episode).unwrap();
            let (label, body) = open_as(&"x", &stored).unwrap();
            let mut body = body.to_vec();
            *at.get_mut(&mut body) = byte;
            for length in [length, label.length] {
                let made_up = seal_as(&Label { length, ..label }, &body).unwrap();
                if let Err(error) = way.decode_episode(episode.id, 1, &made_up) {
                    prop_assert!(matches!(error, Error::Corrupt { .. }), "{}", error);
                }
            }
        }
    }
}

fn bomb(compression: Compression, unpacked: usize) -> Vec<u8> {
    let zeros = vec![0; unpacked];
    match compression {
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut encoder, &zeros).unwrap();
            encoder.finish().unwrap()
        }
        _ => zstd::bulk::compress(&zeros, 1).unwrap(),
    }
}

#[test]
fn a_bomb_unpacks_to_no_more_than_it_says_and_that_is_bounded() {
    let payloads = Payloads::default();
    let id = EpisodeId::derive(&[b"bomb"]);
    for compression in [Compression::Gzip, Compression::Zstd, Compression::ZstdDictionary] {
        let dictionary = match compression {
            Compression::ZstdDictionary => Dictionary::shipped().id(),
            _ => NO_DICTIONARY,
        };
        let body = bomb(compression, 2 * MAX_RAW_BYTES);
        assert!(body.len() < 100_000, "{} bytes are no bomb", body.len());
        for length in [0, 1000, MAX_RAW_BYTES] {
            let label = Label { codec: Codec::MessagePack, compression, dictionary, length };
            let stored = seal_as(&label, &body).unwrap();
            let error = payloads.decode_episode(id, 1, &stored).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{error}");
            assert!(error.to_string().contains("decompress"), "{error}");
            let kept = compress::kept_bytes();
            assert!(kept <= 4 << 20, "{kept} bytes are kept");
        }
        let label =
            Label { codec: Codec::Json, compression, dictionary, length: MAX_RAW_BYTES + 1 };
        assert!(matches!(seal_as(&label, &body), Err(Error::Invalid { .. })));
    }
}

#[test]
fn a_dictionary_that_is_not_there_is_named() {
    let written = Payloads::default();
    let episode = generate::episode(1, 1, 4_000);
    written.add("default", Dictionary::new(b"a dictionary of this test alone".to_vec()));
    let encoded = written.episode(&episode).unwrap();
    let id = encoded.dictionary.unwrap();
    let error = Payloads::default().decode_episode(episode.id, 1, &encoded.bytes).unwrap_err();
    assert!(error.to_string().contains(&crate::write::hex(&id)), "{error}");
}

#[test]
fn what_does_not_shrink_is_stored_as_it_is() {
    let mut random = generate::Random::new(3);
    let mut episode = Episode::start(EpisodeId::derive(&[b"x"]), "p", "t", Timestamp(1));
    let noise = |_| char::from_u32(0x4E00 + (random.bits() % 0x5000) as u32).unwrap();
    episode.task_description = (0..2000).map(noise).collect();
    for compression in Compression::ALL {
        let payloads = Payloads::new(PayloadConfig { compression, ..PayloadConfig::default() });
        let stored = payloads.encode_episode(&episode).unwrap();
        let (label, body) = open_as(&"x", &stored).unwrap();
        assert!(body.len() <= label.length, "{compression:?}");
        if label.compression != Compression::None {
            assert!(body.len() <= label.length - label.length / 16, "{compression:?}");
        }
    }
}

/// Bytes of every second episode, in percent of their JSON, with a dictionary of the others.
fn percent(episodes: &[Episode]) -> usize {
    let payloads = Payloads::default();
    let others: Vec<&Episode> = episodes.iter().skip(1).step_by(2).collect();
    payloads.add(&episodes[0].project, train(Codec::MessagePack, &others).unwrap());
    let (mut stored, mut json) = (0, 0);
    for episode in episodes.iter().step_by(2) {
        stored += payloads.encode_episode(episode).unwrap().len();
        json += serde_json::to_vec(episode).unwrap().len();
    }
    stored * 100 / json
}

#[test]
fn small_episodes_shrink_with_a_dictionary_of_others() {
    let of = |bytes| (0..200).map(|n| generate::episode(0xD1C, n, bytes)).collect::<Vec<_>>();
    for (bytes, at_most) in [(500, 35), (2_000, 40), (10_000, 35)] {
        let percent = percent(&of(bytes));
        assert!(percent <= at_most, "{bytes} bytes: {percent}% of their JSON");
    }
}

#[test]
fn the_shipped_dictionary_helps_where_there_is_no_other() {
    let size = |compression| -> usize {
        let payloads = Payloads::new(PayloadConfig { compression, ..PayloadConfig::default() });
        let episodes = (0..50).map(|n| generate::episode(9, n, 1_000));
        episodes.map(|episode| payloads.encode_episode(&episode).unwrap().len()).sum()
    };
    let (with, without) = (size(Compression::ZstdDictionary), size(Compression::Zstd));
    assert!(with * 100 <= without * 90, "{with} bytes with it, {without} without");
}

/// Dictionaries hold text to the letter, so that of the shipped one must all be public.
#[test]
fn the_shipped_dictionary_holds_nothing_but_the_sample_runs() {
    let bytes = Dictionary::shipped().bytes();
    let mut public = Vec::new();
    for episode in samples() {
        let stored = encode(Codec::MessagePack, Method::None, &episode).unwrap();
        public.extend_from_slice(open_as(&"x", &stored).unwrap().1);
    }
    // In front of the text are the tables of frequencies; they hold no text, and take 1 KB at most.
    let mut text = &bytes[1024..];
    let holds = |piece: &[u8]| public.windows(piece.len()).any(|window| window == piece);
    while text.len() >= 8 {
        assert!(holds(&text[..8]), "{:?} is not of the sample runs", &text[..8]);
        let mut length = 8;
        while length < text.len() && holds(&text[..(length * 2).min(text.len())]) {
            length = (length * 2).min(text.len());
        }
        // The piece ends within the next doubling: find where, so that the next begins there.
        let (mut least, mut beyond) = (length, (length * 2).min(text.len() + 1));
        while least + 1 < beyond {
            let middle = least.midpoint(beyond);
            if holds(&text[..middle]) { least = middle } else { beyond = middle }
        }
        text = &text[least..];
    }
}

#[test]
fn the_same_episodes_make_the_same_dictionary() {
    let samples = samples();
    let samples: Vec<&Episode> = samples.iter().collect();
    let [one, other] = [(); 2].map(|()| train(Codec::MessagePack, &samples).unwrap());
    assert_eq!(one.bytes(), other.bytes());
    assert!(matches!(train(Codec::Json, &samples[..3]), Err(Error::Invalid { .. })));
}

#[test]
fn a_dictionary_is_taken_only_when_it_is_better() {
    let episodes: Vec<Episode> = (0..120).map(|n| generate::episode(4, n, 1_500)).collect();
    let episodes: Vec<&Episode> = episodes.iter().collect();
    let made = trained(Codec::MessagePack, &episodes, Dictionary::shipped()).unwrap().unwrap();
    assert!(trained(Codec::MessagePack, &episodes, &made).unwrap().is_none(), "twice the same");
}
