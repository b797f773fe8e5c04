//! Episodes and steps as stored bytes: encoded, with the envelope in front.

use std::fmt;

use memory_core::envelope::{self, Codec};
use memory_core::{Episode, EpisodeId, Error, Result, Step};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// postcard cannot read what another version wrote.
const NOT_STORED: &str = "postcard is for caches; choose messagepack or json";

/// The stored form of an episode.
pub(crate) fn encode_episode(codec: Codec, episode: &Episode) -> Result<Vec<u8>> {
    encode(codec, episode)
}

/// An episode as stored. The row's version counts: logging steps raises it without touching the
/// payload.
pub(crate) fn decode_episode(id: EpisodeId, version: u64, stored: &[u8]) -> Result<Episode> {
    let thing = format!("episode {id}");
    let mut episode: Episode = decode(&thing, stored)?;
    if episode.id != id {
        let problem = format!("its payload is that of episode {}", episode.id);
        return Err(envelope::damaged(&thing, problem));
    }
    episode.version = version;
    Ok(episode)
}

/// The stored form of steps logged together.
pub(crate) fn encode_steps(codec: Codec, steps: &[Step]) -> Result<Vec<u8>> {
    encode(codec, steps)
}

/// Steps as stored, numbered from `first`.
pub(crate) fn decode_steps(id: EpisodeId, first: u32, stored: &[u8]) -> Result<Vec<Step>> {
    let thing = format!("step {first} of episode {id}");
    let mut steps: Vec<Step> = decode(&thing, stored)?;
    for (number, step) in (first..).zip(&mut steps) {
        step.number = number;
    }
    Ok(steps)
}

pub(crate) fn encode<T: Serialize + ?Sized>(codec: Codec, value: &T) -> Result<Vec<u8>> {
    let body = match codec {
        Codec::MessagePack => rmp_serde::to_vec_named(value).map_err(|e| e.to_string()),
        Codec::Json => serde_json::to_vec(value).map_err(|e| e.to_string()),
        Codec::Postcard => Err(NOT_STORED.into()),
    };
    envelope::seal(codec, &body.map_err(|e| Error::invalid("payload", e))?)
}

pub(crate) fn decode<T: DeserializeOwned>(thing: &dyn fmt::Display, stored: &[u8]) -> Result<T> {
    let (codec, body) = envelope::open(thing, stored)?;
    let value = match codec {
        Codec::MessagePack => rmp_serde::from_slice(body).map_err(|e| e.to_string()),
        Codec::Json => serde_json::from_slice(body).map_err(|e| e.to_string()),
        Codec::Postcard => Err(NOT_STORED.into()),
    };
    value.map_err(|e| envelope::damaged(thing, format!("it does not decode: {e}")))
}
