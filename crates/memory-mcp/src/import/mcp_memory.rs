//! The memory file of the official MCP memory server: a graph of entities and relations, one a line.
//!
//! Each entity becomes an episode of one step that says all that is known of it: its observations
//! and its relations in both directions. The file is read twice, for the relations first, since they
//! stand behind the entities.

use std::collections::HashMap;

use memory_core::error::excerpt;
use serde::Deserialize;

use super::Format;
use super::draft::{Draft, DraftStep};
use super::lenient::{Scalar, Text, null_as_default};
use super::lines::Line;
use super::scan::without_position;

/// Bytes of relations held in memory. The server itself holds its whole file.
const MAX_RELATION_BYTES: usize = 64 * 1024 * 1024;

#[derive(Deserialize)]
struct Entry {
    #[serde(default, rename = "type")]
    kind: Scalar,
    #[serde(default)]
    name: Scalar,
    #[serde(default, rename = "entityType")]
    entity_type: Scalar,
    #[serde(default, deserialize_with = "null_as_default")]
    observations: Vec<Text>,
    #[serde(default)]
    from: Scalar,
    #[serde(default)]
    to: Scalar,
    #[serde(default, rename = "relationType")]
    relation_type: Scalar,
}

/// The relations of every entity, as sentences.
#[derive(Default)]
pub(super) struct Relations {
    of: HashMap<String, Vec<String>>,
    bytes: usize,
    /// The first line whose relation no longer fitted.
    full_from: Option<u64>,
}

impl Relations {
    /// Takes a line when it is a relation. Faults are told when the file is read for the entities.
    pub(super) fn add(&mut self, line: &Line) {
        let Ok(entry) = serde_json::from_str::<Entry>(&line.text) else { return };
        let (from, to) = (entry.from.to_text(), entry.to.to_text());
        if !entry.is_relation() || self.full_from.is_some() {
            return;
        }
        let sentence = format!("{from} {} {to}", entry.relation_type.to_text());
        let bytes = from.len() + to.len() + 2 * sentence.len();
        if self.bytes + bytes > MAX_RELATION_BYTES {
            self.full_from = Some(line.number);
            return;
        }
        self.bytes += bytes;
        if from != to {
            self.of.entry(to).or_default().push(sentence.clone());
        }
        self.of.entry(from).or_default().push(sentence);
    }

    /// An entity as an episode; `None` for a relation.
    pub(super) fn read(&self, line: &Line) -> Result<Option<Draft>, String> {
        let entry: Entry = serde_json::from_str(&line.text).map_err(|e| without_position(&e))?;
        if entry.is_relation() {
            return self.check_relation(&entry, line.number).map(|()| None);
        }
        let kind = entry.kind.to_text();
        if kind != "entity" {
            return Err(format!("`type` is \"{}\", not entity or relation", excerpt(&kind)));
        }
        let (name, entity_type) = (entry.name.to_text(), entry.entity_type.to_text());
        if name.trim().is_empty() {
            return Err("the entity has no `name`".to_owned());
        }
        let identity = serde_json::to_string(&[&name, &entity_type]).map_err(|e| e.to_string())?;
        let mut draft = Draft::new(Format::McpMemory, identity);
        draft.task =
            if entity_type.is_empty() { name.clone() } else { format!("{name} ({entity_type})") };
        draft.task_type = "knowledge".to_owned();
        draft.note("entity_name", entry.name.to_metadata());
        draft.note("entity_type", entry.entity_type.to_metadata());
        let known = entry.observations.into_iter().map(|text| text.0);
        let related = self.of.get(&name).into_iter().flatten().cloned();
        let known: Vec<String> = known.chain(related).collect();
        draft.push(DraftStep {
            action: format!("What is known of {}", draft.task),
            observation: known.join("\n"),
            ..DraftStep::default()
        });
        Ok(Some(draft))
    }

    fn check_relation(&self, entry: &Entry, line: u64) -> Result<(), String> {
        if entry.from.to_text().trim().is_empty() || entry.to.to_text().trim().is_empty() {
            return Err("the relation has no `from` or no `to`".to_owned());
        }
        if self.full_from.is_some_and(|full| line >= full) {
            let limit = MAX_RELATION_BYTES / (1024 * 1024);
            return Err(format!("the relations before this one hold {limit} MiB, it was skipped"));
        }
        Ok(())
    }
}

impl Entry {
    fn is_relation(&self) -> bool {
        self.kind.to_text() == "relation"
    }
}
