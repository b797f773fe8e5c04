//! Compressing and decompressing, on contexts and buffers that each thread keeps: making a context
//! costs more than compressing a small episode with it.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use memory_core::envelope::{self, Codec, Compression, DictionaryId, Label, NO_DICTIONARY};
use memory_core::{Error, Result};
use zstd::zstd_safe::{CCtx, DCtx, compress_bound, get_error_name};

use super::dictionary::Dictionary;

/// Higher levels take two and more times as long and save a few percent.
pub(super) const LEVEL: i32 = 1;

/// Below it the headers of a compressed frame weigh more than what it saves.
const MIN_BYTES: usize = 64;

/// A body is stored as it is unless compression saves this part of it: reading it costs less then.
const MIN_SAVING: usize = 16;

/// A buffer that grew beyond this for one large episode is given back.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// How a body is to be compressed.
#[derive(Clone, Copy)]
pub(super) enum Method<'a> {
    None,
    Gzip,
    Zstd,
    Dictionary(&'a Dictionary),
}

impl Method<'_> {
    /// What a header says of a body compressed this way.
    fn marks(&self) -> (Compression, DictionaryId) {
        match self {
            Method::None => (Compression::None, NO_DICTIONARY),
            Method::Gzip => (Compression::Gzip, NO_DICTIONARY),
            Method::Zstd => (Compression::Zstd, NO_DICTIONARY),
            Method::Dictionary(dictionary) => (Compression::ZstdDictionary, dictionary.id()),
        }
    }

    /// True for a body that was compressed this way.
    pub(super) fn is_that_of(&self, label: &Label) -> bool {
        self.marks() == (label.compression, label.dictionary)
    }
}

struct Scratch {
    raw: Vec<u8>,
    packed: Vec<u8>,
    compressor: CCtx<'static>,
    decompressor: DCtx<'static>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        raw: Vec::new(),
        packed: Vec::new(),
        compressor: CCtx::create(),
        decompressor: DCtx::create(),
    });
}

/// What `write` writes, compressed if that pays, in its envelope.
pub(super) fn compressed(
    codec: Codec,
    method: Method<'_>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
) -> Result<Vec<u8>> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.raw.clear();
        write(&mut scratch.raw).map_err(|e| Error::invalid("payload", e))?;
        let sealed = scratch.seal(codec, method);
        scratch.shrink();
        sealed
    })
}

/// Hands the body that `label` describes to `read`, decompressed.
pub(super) fn decompressed<T>(
    label: &Label,
    dictionary: Option<&Dictionary>,
    body: &[u8],
    read: impl FnOnce(&[u8]) -> T,
) -> Result<T, String> {
    if label.compression == Compression::None {
        return Ok(read(body));
    }
    SCRATCH.with_borrow_mut(|scratch| {
        let result = scratch.open(label, dictionary, body).map(|()| read(&scratch.raw));
        scratch.shrink();
        result
    })
}

impl Scratch {
    fn seal(&mut self, codec: Codec, method: Method<'_>) -> Result<Vec<u8>> {
        let length = self.raw.len();
        let plain =
            Label { codec, compression: Compression::None, dictionary: NO_DICTIONARY, length };
        if !(MIN_BYTES..=envelope::MAX_RAW_BYTES).contains(&length) {
            return envelope::seal_as(&plain, &self.raw);
        }
        let (compression, dictionary) = method.marks();
        if compression == Compression::None {
            return envelope::seal_as(&plain, &self.raw);
        }
        self.pack(method)
            .map_err(|e| Error::Engine { context: "compressing".into(), message: e })?;
        if self.packed.len() > length - length / MIN_SAVING {
            return envelope::seal_as(&plain, &self.raw);
        }
        envelope::seal_as(&Label { compression, dictionary, ..plain }, &self.packed)
    }

    fn pack(&mut self, method: Method<'_>) -> Result<(), String> {
        let Scratch { raw, packed, compressor, .. } = self;
        packed.clear();
        packed.reserve(compress_bound(raw.len()));
        let packing = match method {
            Method::None => return Ok(()),
            Method::Gzip => {
                let mut encoder = GzEncoder::new(packed, flate2::Compression::default());
                let written = encoder.write_all(raw).and_then(|()| encoder.finish().map(drop));
                return written.map_err(|e| e.to_string());
            }
            Method::Zstd => compressor.compress(packed, raw, LEVEL),
            Method::Dictionary(dictionary) => {
                compressor.compress_using_cdict(packed, raw, dictionary.for_compression())
            }
        };
        packing.map(drop).map_err(|code| get_error_name(code).to_owned())
    }

    /// Decompresses into `raw`. Whatever the body would unpack to, no more than the length that its
    /// label gives is unpacked, and that is bounded.
    fn open(
        &mut self,
        label: &Label,
        dictionary: Option<&Dictionary>,
        body: &[u8],
    ) -> Result<(), String> {
        let Scratch { raw, decompressor, .. } = self;
        raw.clear();
        raw.reserve(label.length);
        let unpacked = match (label.compression, dictionary) {
            (Compression::Gzip, _) => {
                let limit = label.length as u64 + 1;
                let read = GzDecoder::new(body).take(limit).read_to_end(raw);
                read.map(drop).map_err(|e| format!("it does not decompress: {e}"))
            }
            (_, Some(dictionary)) => {
                let dictionary = dictionary.for_decompression();
                unpacked(decompressor.decompress_using_ddict(raw, body, dictionary))
            }
            (_, None) => unpacked(decompressor.decompress(raw, body)),
        };
        unpacked?;
        if raw.len() != label.length {
            return Err(format!(
                "it does not decompress to the {} bytes that it says it has",
                label.length
            ));
        }
        Ok(())
    }

    fn shrink(&mut self) {
        for buffer in [&mut self.raw, &mut self.packed] {
            if buffer.capacity() > MAX_KEPT_BYTES {
                *buffer = Vec::new();
            }
        }
    }
}

fn unpacked(result: Result<usize, usize>) -> Result<(), String> {
    let told = |code| match get_error_name(code) {
        "Destination buffer is too small" => {
            "it decompresses to more bytes than it says it has".to_owned()
        }
        other => format!("it does not decompress: {other}"),
    };
    result.map(drop).map_err(told)
}

/// Bytes that this thread keeps between calls.
#[cfg(test)]
pub(super) fn kept_bytes() -> usize {
    SCRATCH.with_borrow(|scratch| scratch.raw.capacity() + scratch.packed.capacity())
}
