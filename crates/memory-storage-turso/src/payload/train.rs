//! Making a dictionary of what was stored so far, and finding out whether it pays.

use memory_core::envelope::Codec;
use memory_core::{Episode, Error, Result};

use super::compress::Method;
use super::{Dictionary, encode};

/// Bytes of a dictionary: four times more gains next to nothing, and it is sent to every reader once.
pub const DICTIONARY_BYTES: usize = 16 * 1024;

/// Of a long episode only the beginning: the rest finds its own past in itself.
const SAMPLE_BYTES: usize = 32 * 1024;

/// Fewer samples make a dictionary of what happens to stand in them.
const MIN_SAMPLES: usize = 8;

/// One in so many episodes is kept back, to measure with.
const HELD_BACK: usize = 4;

/// A new dictionary is taken when it saves one in so many bytes of what was kept back.
const MIN_SAVING: usize = 20;

/// A dictionary of what these episodes have in common, when encoded with `codec`. The same episodes,
/// the same dictionary.
///
/// # Errors
///
/// [`Error::Invalid`]: there are too few of them.
pub fn train(codec: Codec, episodes: &[&Episode]) -> Result<Dictionary> {
    let too_few = |problem: String| Error::invalid("episodes", problem);
    if episodes.len() < MIN_SAMPLES {
        let problem = format!("are {}; a dictionary takes {MIN_SAMPLES}", episodes.len());
        return Err(too_few(problem));
    }
    let (mut samples, mut sizes) = (Vec::new(), Vec::new());
    for episode in episodes {
        let sealed = encode(codec, Method::None, *episode)?;
        let (_, body) = memory_core::envelope::open(&"a sample", &sealed)?;
        let sample = body.get(..SAMPLE_BYTES).unwrap_or(body);
        samples.extend_from_slice(sample);
        sizes.push(sample.len());
    }
    let trained = zstd::dict::from_continuous(&samples, &sizes, DICTIONARY_BYTES);
    let bytes = trained.map_err(|e| too_few(format!("make no dictionary: {e}")))?;
    Ok(Dictionary::new(bytes))
}

/// A dictionary of these episodes, if it is that much better than `current` on a part of them that it
/// was not trained on.
pub(crate) fn trained(
    codec: Codec,
    episodes: &[&Episode],
    current: &Dictionary,
) -> Result<Option<Dictionary>> {
    let held_back = |at: &usize| at % HELD_BACK == HELD_BACK - 1;
    let part = |back: bool| -> Vec<&Episode> {
        let chosen = episodes.iter().enumerate().filter(|(at, _)| held_back(at) == back);
        chosen.map(|(_, episode)| *episode).collect()
    };
    let Ok(dictionary) = train(codec, &part(false)) else { return Ok(None) };
    let (mut before, mut after) = (0, 0);
    for episode in part(true) {
        before += encode(codec, Method::Dictionary(current), episode)?.len();
        after += encode(codec, Method::Dictionary(&dictionary), episode)?.len();
    }
    Ok((after < before - before / MIN_SAVING).then_some(dictionary))
}
