//! The memory file of the official MCP memory server: a graph of entities and relations, one a line.
//!
//! Each entity becomes an episode of one step that says all that is known of it: its observations
//! and its relations in both directions. The file is read twice, for the relations first, since they
//! stand behind the entities.

use std::collections::HashMap;

use serde::Deserialize;

use super::draft::{Draft, DraftStep};
use super::lenient::{Scalar, Text, null_as_default};
use super::{Format, Reject};

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
}

impl Relations {
    /// Takes a line when it is a relation. Errors are those of relations alone: the other lines get
    /// their turn when the file is read for the entities.
    pub(super) fn add(&mut self, line: &str) -> Result<(), String> {
        let Ok(entry) = serde_json::from_str::<Entry>(line) else { return Ok(()) };
        if entry.kind.to_text() != "relation" {
            return Ok(());
        }
        let (from, to) = (entry.from.to_text(), entry.to.to_text());
        if from.trim().is_empty() || to.trim().is_empty() {
            return Err("the relation has no `from` or no `to`".to_owned());
        }
        let sentence = format!("{from} {} {to}", entry.relation_type.to_text());
        self.bytes += 2 * sentence.len();
        if self.bytes > MAX_RELATION_BYTES {
            return Err(format!(
                "the relations hold more than {} MiB; this one was skipped",
                MAX_RELATION_BYTES / (1024 * 1024)
            ));
        }
        if from != to {
            self.of.entry(to).or_default().push(sentence.clone());
        }
        self.of.entry(from).or_default().push(sentence);
        Ok(())
    }

    /// An entity as an episode; `None` for a relation.
    pub(super) fn read(&self, line: &str) -> Result<Option<Draft>, Reject> {
        let entry: Entry = serde_json::from_str(line)?;
        match entry.kind.to_text().as_str() {
            "relation" => return Ok(None),
            "entity" => {}
            other => return Err(format!("`type` is \"{other}\", not entity or relation").into()),
        }
        let (name, entity_type) = (entry.name.to_text(), entry.entity_type.to_text());
        if name.trim().is_empty() {
            return Err("the entity has no `name`".into());
        }
        let identity = serde_json::to_string(&[&name, &entity_type]).unwrap_or_default();
        let mut draft = Draft::new(Format::McpMemory, identity);
        let title =
            if entity_type.is_empty() { name.clone() } else { format!("{name} ({entity_type})") };
        draft.task_type = "knowledge".to_owned();
        draft.note("entity_name", entry.name.to_metadata());
        draft.note("entity_type", entry.entity_type.to_metadata());
        let known = entry.observations.into_iter().map(|text| text.0);
        let related = self.of.get(&name).into_iter().flatten().cloned();
        let known: Vec<String> = known.chain(related).collect();
        draft.push(DraftStep {
            action: format!("What is known of {title}"),
            observation: known.join("\n"),
            ..DraftStep::default()
        });
        draft.task = title;
        Ok(Some(draft))
    }
}
