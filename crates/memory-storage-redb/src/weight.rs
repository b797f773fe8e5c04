//! What an episode costs: bytes of memory when decoded, bytes of the file when stored.

use memory_core::{Episode, MetadataValue, Step};

/// An entry beside its episode: the entry itself and its reference counts, its places in the index,
/// the two ghosts that go with it, and the spare room of all these tables.
const ENTRY_BYTES: usize = 512;

/// What the allocator adds to a piece of memory, and what it rounds up to.
const ALLOCATION_HEADER: usize = 8;
const ALLOCATION_UNIT: usize = 16;

/// A node of a `BTreeMap` has room for this many values, and is at least half full where there are
/// several.
const NODE_VALUES: usize = 11;
const NODE_BYTES: usize = 16;

fn allocated(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + ALLOCATION_HEADER).next_multiple_of(ALLOCATION_UNIT) }
}

/// The nodes of a map of `len` values of a key and a value of `bytes` together.
fn nodes(len: usize, bytes: usize) -> usize {
    let nodes = if len <= NODE_VALUES { len.min(1) } else { len.div_ceil(NODE_VALUES / 2) };
    nodes * allocated(NODE_BYTES + NODE_VALUES * bytes)
}

/// Spare room counts: it is held as well.
fn text(text: &String) -> usize {
    allocated(text.capacity())
}

fn list<T>(list: &Vec<T>) -> usize {
    allocated(list.capacity() * size_of::<T>())
}

fn texts(texts: &Vec<String>) -> usize {
    list(texts) + texts.iter().map(text).sum::<usize>()
}

/// The heap that a decoded episode takes, the entry that holds it included.
pub fn in_memory(episode: &Episode) -> u64 {
    let e = episode;
    let steps: usize = e.steps.iter().map(step).sum();
    let metadata = e.metadata.iter().map(|(key, value)| {
        let value = if let MetadataValue::Text(value) = value { text(value) } else { 0 };
        text(key) + value
    });
    let metadata =
        metadata.sum::<usize>() + nodes(e.metadata.len(), size_of::<(String, MetadataValue)>());
    let outcome = e.outcome.as_ref().map_or(0, |o| text(&o.verdict));
    let reward = e.reward.as_ref().map_or(0, |r| {
        let keys: usize = r.components.keys().map(text).sum();
        keys + nodes(r.components.len(), size_of::<(String, f64)>())
    });
    let source = e.source.as_ref();
    let source = source.map_or(0, |s| text(&s.format) + text(&s.identity) + text(&s.digest));
    let context = [&e.context.domain, &e.context.language, &e.context.framework];
    let bytes = ENTRY_BYTES
        + allocated(size_of::<Episode>() + 2 * size_of::<usize>())
        + [&e.project, &e.task_type, &e.task_description].into_iter().map(text).sum::<usize>()
        + context.into_iter().map(text).sum::<usize>()
        + texts(&e.context.tags)
        + texts(&e.reflection.worked)
        + texts(&e.reflection.failed)
        + texts(&e.reflection.next_time)
        + list(&e.lessons)
        + list(&e.steps)
        + steps
        + metadata
        + outcome
        + reward
        + source;
    bytes as u64
}

fn step(step: &Step) -> usize {
    text(&step.tool)
        + text(&step.action)
        + allocated(step.parameters.as_str().len())
        + text(&step.observation)
        + step.error.as_ref().map_or(0, text)
}

/// An entry that says an id does not exist.
pub(crate) const ABSENT_BYTES: u64 = ENTRY_BYTES as u64;

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
