//! Episodes and steps as stored bytes: encoded, compressed, with the envelope in front.
//!
//! - `compress`: compressing and decompressing, on the contexts and buffers of each thread
//! - `dictionary`: [`Dictionary`], one made ready for use, the shipped one, those that are known
//! - `train`: making one of what was stored so far

mod compress;
mod dictionary;
#[cfg(test)]
mod tests;
mod train;

use std::fmt;
use std::sync::Arc;

use memory_core::envelope::{self, Codec, Compression, DictionaryId};
use memory_core::{Episode, EpisodeId, Result, Step};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use dictionary::Dictionary;
pub(crate) use dictionary::{Dictionaries, Known};
pub(crate) use train::trained;
pub use train::{DICTIONARY_BYTES, train};

use compress::Method;

/// postcard cannot read what another version wrote.
const NOT_STORED: &str = "postcard is for caches; choose messagepack or json";

/// How new payloads are written. Whatever was written before stays readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PayloadConfig {
    /// How they are encoded.
    pub codec: Codec,
    /// How they are compressed.
    pub compression: Compression,
}

/// A stored payload and the dictionary of its project that it needs; none for the shipped one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) dictionary: Option<DictionaryId>,
}

impl Encoded {
    /// `own` is the project's dictionary; what does not get smaller by it does not need it.
    fn of(bytes: Vec<u8>, own: Option<&Dictionary>) -> Self {
        let used = envelope::dictionary_of(&bytes);
        let dictionary = used.filter(|id| own.is_some_and(|own| own.id() == *id));
        Encoded { bytes, dictionary }
    }
}

/// Writes and reads payloads, with the dictionaries known so far.
#[derive(Debug, Clone, Default)]
pub struct Payloads {
    pub(crate) config: PayloadConfig,
    pub(crate) dictionaries: Arc<Dictionaries>,
    /// Write with the shipped dictionary even where there is one of the project.
    shipped_only: bool,
}

impl Payloads {
    /// Writes as `config` says, with the shipped dictionary and those that are added.
    pub fn new(config: PayloadConfig) -> Self {
        Payloads { config, ..Payloads::default() }
    }

    /// Uses a dictionary for what is written from now on for a project.
    pub fn add(&self, project: &str, dictionary: Dictionary) {
        self.dictionaries.learn(project, i64::MAX, false, dictionary);
    }

    /// As these, but never with a dictionary that could be withdrawn.
    pub(crate) fn shipped_only(&self) -> Self {
        Payloads { shipped_only: true, ..self.clone() }
    }

    /// The stored form of an episode.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](memory_core::Error::Invalid): it is too long.
    pub fn encode_episode(&self, episode: &Episode) -> Result<Vec<u8>> {
        Ok(self.episode(episode)?.bytes)
    }

    pub(crate) fn episode(&self, episode: &Episode) -> Result<Encoded> {
        let own = self.own(&episode.project);
        let bytes = encode(self.config.codec, self.method(own.as_deref()), episode)?;
        Ok(Encoded::of(bytes, own.as_deref()))
    }

    /// The dictionary of a project itself, if it is to be written with.
    fn own(&self, project: &str) -> Option<Arc<Dictionary>> {
        let wanted = self.config.compression == Compression::ZstdDictionary && !self.shipped_only;
        if wanted { self.dictionaries.current(project) } else { None }
    }

    fn method<'a>(&self, dictionary: Option<&'a Dictionary>) -> Method<'a> {
        match self.config.compression {
            Compression::None => Method::None,
            Compression::Gzip => Method::Gzip,
            Compression::Zstd => Method::Zstd,
            Compression::ZstdDictionary => {
                Method::Dictionary(dictionary.unwrap_or_else(|| Dictionary::shipped()))
            }
        }
    }

    /// A stored episode as it would be written now; `None` when it is that already.
    pub(crate) fn renewed(
        &self,
        id: EpisodeId,
        project: &str,
        stored: &[u8],
    ) -> Result<Option<Encoded>> {
        let thing = fmt::from_fn(|f| write!(f, "episode {id}"));
        let (label, _) = envelope::open_as(&thing, stored)?;
        let own = self.own(project);
        let method = self.method(own.as_deref());
        if label.codec == self.config.codec && method.is_that_of(&label) {
            return Ok(None);
        }
        // Decoded in any case: what cannot be read must not be taken for written anew.
        let episode: Episode = self.decode(&thing, stored)?;
        let bytes = encode(self.config.codec, method, &episode)?;
        if bytes == stored {
            return Ok(None);
        }
        if self.decode::<Episode>(&thing, &bytes)? != episode {
            return Err(envelope::damaged(&thing, "written anew it would not be the same"));
        }
        Ok(Some(Encoded::of(bytes, own.as_deref())))
    }

    /// An episode as stored. The row's version counts: logging steps raises it without touching the
    /// payload.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](memory_core::Error::Corrupt): the bytes are not what was written, or need a dictionary that is not known.
    pub fn decode_episode(&self, id: EpisodeId, version: u64, stored: &[u8]) -> Result<Episode> {
        let thing = fmt::from_fn(|f| write!(f, "episode {id}"));
        let mut episode: Episode = self.decode(&thing, stored)?;
        if episode.id != id {
            let problem = format!("its payload is that of episode {}", episode.id);
            return Err(envelope::damaged(&thing, problem));
        }
        episode.version = version;
        Ok(episode)
    }

    /// The stored form of steps logged together. They stay until the episode is completed, so they
    /// are written with what nobody withdraws.
    pub(crate) fn encode_steps(&self, steps: &[Step]) -> Result<Vec<u8>> {
        encode(self.config.codec, self.method(None), steps)
    }

    /// Steps as stored, numbered from `first`.
    pub(crate) fn decode_steps(
        &self,
        id: EpisodeId,
        first: u32,
        stored: &[u8],
    ) -> Result<Vec<Step>> {
        let thing = fmt::from_fn(|f| write!(f, "step {first} of episode {id}"));
        let mut steps: Vec<Step> = self.decode(&thing, stored)?;
        for (number, step) in (first..).zip(&mut steps) {
            step.number = number;
        }
        Ok(steps)
    }

    /// A payload as it is; the envelope says what `thing` it is only to an error.
    pub(crate) fn decode<T: DeserializeOwned>(
        &self,
        thing: &dyn fmt::Display,
        stored: &[u8],
    ) -> Result<T> {
        let (label, body) = envelope::open_as(thing, stored)?;
        let damaged = |problem| envelope::damaged(thing, problem);
        let dictionary = match label.compression {
            Compression::ZstdDictionary => {
                let known = self.dictionaries.get(label.dictionary);
                Some(known.ok_or_else(|| damaged(dictionary::missing(label.dictionary)))?)
            }
            _ => None,
        };
        let read = |raw: &[u8]| decode(label.codec, raw);
        compress::decompressed(&label, dictionary.as_deref(), body, read)
            .and_then(|value| value)
            .map_err(damaged)
    }
}

/// Encodes a value and puts it into its envelope.
fn encode<T: Serialize + ?Sized>(codec: Codec, method: Method<'_>, value: &T) -> Result<Vec<u8>> {
    compress::compressed(codec, method, |raw| match codec {
        Codec::MessagePack => {
            let mut serializer = rmp_serde::Serializer::new(raw).with_struct_map();
            value.serialize(&mut serializer).map_err(|e| e.to_string())
        }
        Codec::Json => serde_json::to_writer(raw, value).map_err(|e| e.to_string()),
        Codec::Postcard => Err(NOT_STORED.into()),
    })
}

fn decode<T: DeserializeOwned>(codec: Codec, raw: &[u8]) -> Result<T, String> {
    let value = match codec {
        Codec::MessagePack => rmp_serde::from_slice(raw).map_err(|e| e.to_string()),
        Codec::Json => serde_json::from_slice(raw).map_err(|e| e.to_string()),
        Codec::Postcard => Err(NOT_STORED.into()),
    };
    value.map_err(|e| format!("it does not decode: {e}"))
}

/// The stored form of what is kept for people and tools to look at: JSON, not compressed.
pub(crate) fn encode_plain<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    encode(Codec::Json, Method::None, value)
}

/// What [`encode_plain`] wrote.
pub(crate) fn decode_plain<T: DeserializeOwned>(
    thing: &dyn fmt::Display,
    stored: &[u8],
) -> Result<T> {
    let (codec, body) = envelope::open(thing, stored)?;
    decode(codec, body).map_err(|problem| envelope::damaged(thing, problem))
}
