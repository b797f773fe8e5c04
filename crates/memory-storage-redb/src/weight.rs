//! What an episode costs: bytes of memory when decoded, bytes of the file when stored.

use memory_core::{Episode, MetadataValue, Step};

/// An entry beside its episode: the index's slot and links, the reference counts, the entry itself.
const ENTRY_BYTES: usize = 192;

/// What the allocator adds to a piece of memory, and what it rounds up to.
const ALLOCATION_HEADER: usize = 8;
const ALLOCATION_UNIT: usize = 16;

/// A node of a map, per value.
const NODE_BYTES: usize = 32;

fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + ALLOCATION_HEADER).next_multiple_of(ALLOCATION_UNIT) }
}

fn text(text: &str) -> usize {
    allocated(text.len())
}

fn texts(texts: &[String]) -> usize {
    allocated(size_of_val(texts)) + texts.iter().map(|t| text(t)).sum::<usize>()
}

/// The heap that a decoded episode takes, the entry that holds it included.
pub fn in_memory(episode: &Episode) -> u64 {
    let e = episode;
    let steps: usize = e.steps.iter().map(step).sum();
    let metadata = e.metadata.iter().map(|(key, value)| {
        let value = if let MetadataValue::Text(value) = value { text(value) } else { 0 };
        NODE_BYTES + size_of::<(String, MetadataValue)>() + text(key) + value
    });
    let outcome = e.outcome.as_ref().map_or(0, |o| text(&o.verdict));
    let reward = e.reward.as_ref().map_or(0, |r| {
        r.components.keys().map(|key| NODE_BYTES + size_of::<(String, f64)>() + text(key)).sum()
    });
    let source = e.source.as_ref();
    let source = source.map_or(0, |s| text(&s.format) + text(&s.identity) + text(&s.digest));
    let context = [&e.context.domain, &e.context.language, &e.context.framework];
    let bytes = ENTRY_BYTES
        + allocated(size_of::<Episode>() + 2 * size_of::<usize>())
        + [&e.project, &e.task_type, &e.task_description]
            .into_iter()
            .map(|t| text(t))
            .sum::<usize>()
        + context.into_iter().map(|t| text(t)).sum::<usize>()
        + texts(&e.context.tags)
        + texts(&e.reflection.worked)
        + texts(&e.reflection.failed)
        + texts(&e.reflection.next_time)
        + allocated(size_of_val(e.lessons.as_slice()))
        + allocated(size_of_val(e.steps.as_slice()))
        + steps
        + metadata.sum::<usize>()
        + outcome
        + reward
        + source;
    bytes as u64
}

fn step(step: &Step) -> usize {
    text(&step.tool)
        + text(&step.action)
        + text(step.parameters.as_str())
        + text(&step.observation)
        + step.error.as_deref().map_or(0, text)
}

/// An entry that says an id does not exist.
pub(crate) const ABSENT_BYTES: u64 = 256;

/// redb's page.
const PAGE_BYTES: usize = 4096;

/// Key, lengths and checksums beside a value, and the row of the catalogue.
const ROW_BYTES: usize = 128;

/// What a value of `bytes` takes in the file. A page that holds a large value holds nothing else and
/// is a power of two pages long; small ones share pages, which are about two thirds full.
pub fn on_disk(bytes: usize) -> u64 {
    let row = bytes + ROW_BYTES;
    if row <= PAGE_BYTES / 3 {
        return (row + row / 2) as u64;
    }
    let pages = row.div_ceil(PAGE_BYTES).next_power_of_two();
    (pages * PAGE_BYTES) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_weigh_the_pages_they_take() {
        assert_eq!(on_disk(3_900), 4_096);
        assert_eq!(on_disk(4_096), 8_192);
        assert_eq!(on_disk(9_000), 16_384);
        assert!(on_disk(300) < 700);
    }

    #[test]
    fn an_episode_weighs_more_than_its_text() {
        for bytes in [500, 4_000, 40_000] {
            let episode = memory_testkit::generate::episode(3, 1, bytes);
            let text: usize = episode.steps.iter().map(Step::size_bytes).sum();
            let weight = in_memory(&episode) as usize;
            assert!(weight > text && weight < 2 * text + 4_000, "{weight} for {text}");
        }
    }
}
