//! The checksummed header in front of every stored payload.
//!
//! ```text
//! byte 0      0xC1: starts neither UTF-8, JSON nor MessagePack
//!      1      format version, 1
//!      2      codec: 1 MessagePack with named fields, 2 JSON, 3 postcard
//!      3      compression: 0 none, 1 gzip, 2 zstd, 3 zstd with a dictionary
//!      4..8   dictionary: the first bytes of its SHA-256; 0 none
//!      8..12  length of the body before compression, little endian
//!      12..16 CRC-32 (IEEE) of bytes 0..12 and of the body as stored
//!      16..   the body
//! ```
//!
//! Readers go by the header, writers by their settings: a setting can change at any time. A row that
//! begins with `{` is plain JSON without a header and is read as such. Most single-bit flips decode
//! to something silently wrong without the checksum; with it they are an error. Compressing and
//! decompressing is up to whoever holds the dictionaries; here is what both sides agree on.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The first byte of an envelope.
pub const MAGIC: u8 = 0xC1;

/// Bytes in front of the body.
pub const HEADER_BYTES: usize = 16;

/// The longest body a reader accepts: an episode of the largest size with every character escaped,
/// and far from what a damaged length could ask for.
pub const MAX_RAW_BYTES: usize = 32 * 1024 * 1024;

const FORMAT: u8 = 1;

/// What a dictionary is called in the header: the first bytes of its SHA-256.
pub type DictionaryId = [u8; 4];

/// The place of the dictionary's name where there is none.
pub const NO_DICTIONARY: DictionaryId = [0; 4];

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// MessagePack with named fields: quicker than JSON, and a tenth smaller.
    #[default]
    MessagePack,
    /// JSON: readable with any tool.
    Json,
    /// postcard: the quickest and the smallest, and without names: only for what can be thrown away
    /// when the format changes, which is the cache. No setting chooses it.
    #[serde(skip)]
    Postcard,
}

impl Codec {
    fn id(self) -> u8 {
        match self {
            Codec::MessagePack => 1,
            Codec::Json => 2,
            Codec::Postcard => 3,
        }
    }

    fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Codec::MessagePack),
            2 => Some(Codec::Json),
            3 => Some(Codec::Postcard),
            _ => None,
        }
    }
}

/// How an encoded body is compressed. What does not get smaller by it is stored as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip: readable with any tool; slower and larger than the others.
    Gzip,
    /// zstd.
    Zstd,
    /// zstd with a dictionary of what episodes have in common, so that small ones shrink too.
    #[default]
    ZstdDictionary,
}

impl Compression {
    /// Every way.
    pub const ALL: [Compression; 4] =
        [Compression::None, Compression::Gzip, Compression::Zstd, Compression::ZstdDictionary];

    fn id(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Zstd => 2,
            Compression::ZstdDictionary => 3,
        }
    }
}

/// What a header says of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// How the body is encoded.
    pub codec: Codec,
    /// How it is compressed then.
    pub compression: Compression,
    /// The dictionary; [`NO_DICTIONARY`] for every other compression.
    pub dictionary: DictionaryId,
    /// Bytes before compression, [`MAX_RAW_BYTES`] at most.
    pub length: usize,
}

/// Puts the header in front of an encoded body that is not compressed.
pub fn seal(codec: Codec, body: &[u8]) -> Result<Vec<u8>> {
    let (compression, dictionary) = (Compression::None, NO_DICTIONARY);
    seal_as(&Label { codec, compression, dictionary, length: body.len() }, body)
}

/// Puts the header in front of a body. An error: it is too long.
pub fn seal_as(label: &Label, body: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(label.length).unwrap_or(u32::MAX);
    if label.length > MAX_RAW_BYTES {
        let problem =
            format!("encodes to {length} bytes, the limit is {MAX_RAW_BYTES}; shorten it");
        return Err(Error::invalid("payload", problem));
    }
    let mut sealed = Vec::with_capacity(HEADER_BYTES + body.len());
    sealed.extend([MAGIC, FORMAT, label.codec.id(), label.compression.id()]);
    sealed.extend(label.dictionary);
    sealed.extend(length.to_le_bytes());
    let crc = checksum(&sealed, body);
    sealed.extend(crc.to_le_bytes());
    sealed.extend_from_slice(body);
    Ok(sealed)
}

/// Checks the envelope of a body that is not compressed and returns it. `thing` names the record in
/// an error.
pub fn open<'a>(thing: &dyn fmt::Display, stored: &'a [u8]) -> Result<(Codec, &'a [u8])> {
    let (label, body) = open_as(thing, stored)?;
    match label.compression {
        Compression::None => Ok((label.codec, body)),
        other => Err(damaged(thing, format!("it is compressed ({other:?}), which it never is"))),
    }
}

/// Checks an envelope and returns what it says of its body, and that, still compressed.
pub fn open_as<'a>(thing: &dyn fmt::Display, stored: &'a [u8]) -> Result<(Label, &'a [u8])> {
    if stored.first() == Some(&b'{') && stored.len() <= MAX_RAW_BYTES {
        let (codec, compression) = (Codec::Json, Compression::None);
        let length = stored.len();
        return Ok((Label { codec, compression, dictionary: NO_DICTIONARY, length }, stored));
    }
    verify(stored).map_err(|problem| damaged(thing, problem))
}

/// The dictionary that a stored record needs to be read, going by its header alone.
pub fn dictionary_of(stored: &[u8]) -> Option<DictionaryId> {
    match stored {
        [MAGIC, FORMAT, _, compression, a, b, c, d, ..]
            if *compression == Compression::ZstdDictionary.id() =>
        {
            Some([*a, *b, *c, *d])
        }
        _ => None,
    }
}

/// The error for a record that cannot be read back.
pub fn damaged(thing: &dyn fmt::Display, problem: impl Into<String>) -> Error {
    Error::Corrupt {
        thing: thing.to_string(),
        problem: problem.into(),
        hint: "restore it from a backup or an export, or forget it",
    }
}

fn verify(stored: &[u8]) -> Result<(Label, &[u8]), String> {
    let Some((header, body)) = stored.split_first_chunk::<HEADER_BYTES>() else {
        return Err(format!("it has {} bytes, fewer than a header", stored.len()));
    };
    let [magic, format, codec, compression, d0, d1, d2, d3, l0, l1, l2, l3, c0, c1, c2, c3] =
        *header;
    if magic != MAGIC {
        return Err(format!("it starts with byte {magic:#04x}, which no payload does"));
    }
    let summed = header.first_chunk::<12>().map_or(0, |fields| checksum(fields, body));
    if summed != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err("its checksum does not match".into());
    }
    let known = Compression::ALL.into_iter().find(|known| known.id() == compression);
    let Some(compression) = known.filter(|_| format == FORMAT) else {
        return Err(format!(
            "its format {format} with compression {compression} is not known to this version of \
             memory-mcp, a newer one wrote it"
        ));
    };
    let Some(codec) = Codec::from_id(codec) else {
        return Err(format!("its codec {codec} is not known to this version of memory-mcp"));
    };
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if compression == Compression::None && length != body.len() {
        return Err(format!("its length says {length} bytes, there are {}", body.len()));
    }
    if length > MAX_RAW_BYTES {
        return Err(format!("it says it is {length} bytes long, the limit is {MAX_RAW_BYTES}"));
    }
    let dictionary = [d0, d1, d2, d3];
    Ok((Label { codec, compression, dictionary, length }, body))
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_body_opens_again() {
        for codec in [Codec::MessagePack, Codec::Json, Codec::Postcard] {
            for body in [&b""[..], b"x", &[0xC1; 5000]] {
                let sealed = seal(codec, body).unwrap();
                assert_eq!(open(&"x", &sealed).unwrap(), (codec, body));
            }
        }
    }

    #[test]
    fn plain_json_is_read_without_a_header() {
        assert_eq!(open(&"x", b"{\"a\":1}").unwrap(), (Codec::Json, &b"{\"a\":1}"[..]));
    }

    #[test]
    fn every_flipped_bit_is_detected() {
        let sealed = seal(Codec::MessagePack, b"what was done and what came of it").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = open(&"episode 1", &flipped).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "bit {bit}: {error}");
            assert!(error.to_string().starts_with("episode 1 is damaged: "));
        }
    }

    #[test]
    fn every_cut_is_detected() {
        let sealed = seal(Codec::Json, b"what was done").unwrap();
        for end in 0..sealed.len() {
            assert!(matches!(open(&"x", &sealed[..end]), Err(Error::Corrupt { .. })), "{end}");
        }
        assert!(open(&"x", &[sealed, vec![0]].concat()).is_err());
    }

    #[test]
    fn a_body_over_the_limit_is_refused_before_it_is_stored() {
        let body = vec![0; MAX_RAW_BYTES + 1];
        assert!(matches!(seal(Codec::Json, &body), Err(Error::Invalid { .. })));
    }
}
