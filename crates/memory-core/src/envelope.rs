//! The checksummed header in front of every stored payload.
//!
//! ```text
//! byte 0      0xC1: starts neither UTF-8, JSON nor MessagePack
//!      1      format version, 1
//!      2      codec: 1 MessagePack with named fields, 2 JSON, 3 postcard
//!      3      compression: 0 none; reserved: 1 gzip, 2 zstd, 3 zstd with a dictionary
//!      4..8   dictionary id, little endian; 0 none
//!      8..12  length of the body before compression, little endian
//!      12..16 CRC-32 (IEEE) of bytes 0..12 and of the body as stored
//!      16..   the body
//! ```
//!
//! Readers go by the header, writers by their settings: a setting can change at any time. A row that
//! begins with `{` is plain JSON without a header and is read as such. Most single-bit flips decode
//! to something silently wrong without the checksum; with it they are an error.

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
const UNCOMPRESSED: u8 = 0;

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

/// Puts the header in front of an encoded body.
pub fn seal(codec: Codec, body: &[u8]) -> Result<Vec<u8>> {
    if body.len() > MAX_RAW_BYTES {
        let problem =
            format!("encodes to {} bytes, the limit is {MAX_RAW_BYTES}; shorten it", body.len());
        return Err(Error::invalid("payload", problem));
    }
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut sealed = Vec::with_capacity(HEADER_BYTES + body.len());
    sealed.extend([MAGIC, FORMAT, codec.id(), UNCOMPRESSED]);
    sealed.extend(0u32.to_le_bytes());
    sealed.extend(length.to_le_bytes());
    let crc = checksum(&sealed, body);
    sealed.extend(crc.to_le_bytes());
    sealed.extend_from_slice(body);
    Ok(sealed)
}

/// Checks an envelope and returns the encoded body. `thing` names the record in an error.
pub fn open<'a>(thing: &dyn fmt::Display, stored: &'a [u8]) -> Result<(Codec, &'a [u8])> {
    if stored.first() == Some(&b'{') && stored.len() <= MAX_RAW_BYTES {
        return Ok((Codec::Json, stored));
    }
    verify(stored).map_err(|problem| damaged(thing, problem))
}

/// The error for a record that cannot be read back.
pub fn damaged(thing: &dyn fmt::Display, problem: impl Into<String>) -> Error {
    Error::Corrupt {
        thing: thing.to_string(),
        problem: problem.into(),
        hint: "restore it from a backup or an export, or forget it",
    }
}

fn verify(stored: &[u8]) -> Result<(Codec, &[u8]), String> {
    let Some((header, body)) = stored.split_first_chunk::<HEADER_BYTES>() else {
        return Err(format!("it has {} bytes, fewer than a header", stored.len()));
    };
    let [magic, format, codec, compression, _, _, _, _, l0, l1, l2, l3, c0, c1, c2, c3] = *header;
    if magic != MAGIC {
        return Err(format!("it starts with byte {magic:#04x}, which no payload does"));
    }
    let summed = header.first_chunk::<12>().map_or(0, |fields| checksum(fields, body));
    if summed != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err("its checksum does not match".into());
    }
    if format != FORMAT || compression != UNCOMPRESSED {
        return Err(format!(
            "its format {format} with compression {compression} is not known to this version of \
             memory-mcp, a newer one wrote it"
        ));
    }
    let Some(codec) = Codec::from_id(codec) else {
        return Err(format!("its codec {codec} is not known to this version of memory-mcp"));
    };
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length != body.len() || length > MAX_RAW_BYTES {
        return Err(format!("its length says {length} bytes, there are {}", body.len()));
    }
    Ok((codec, body))
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
