//! Completing the arguments of prompts and resources, from what the caller may see.

use std::collections::BTreeSet;

use memory_core::error::excerpt;
use memory_core::store::Filter;
use memory_core::{EpisodeStore, Error, Result};
use rmcp::model::{CompleteRequestParams, CompletionInfo, Reference};

use super::session::Session;
use super::{prompts, resources};

/// The latest episodes, whose ids and task types are proposed: one page, as a completion is asked for
/// at every key.
const RECENT: usize = 50;

/// What `completion/complete` answers: values that begin as the argument does, the latest first for
/// ids, by the alphabet for names.
pub(super) async fn complete<S: EpisodeStore>(
    session: &Session<S>,
    request: &CompleteRequestParams,
) -> Result<CompletionInfo> {
    let argument = request.argument.name.as_str();
    if !takes(&request.r#ref, argument) {
        let problem = format!("there is nothing to complete by the name \"{}\"", excerpt(argument));
        return Err(Error::invalid("argument", problem));
    }
    let context = request.context.as_ref();
    let project = context.and_then(|c| c.get_argument("project")).filter(|name| !name.is_empty());
    let values = match argument {
        "project" => session.known_projects(),
        "episode_id" | "task_type" => {
            let project = session.project(project.cloned())?;
            let (page, _) = session.page(project, Filter::default(), None, RECENT).await?;
            if argument == "episode_id" {
                page.episodes.iter().map(|episode| episode.id.to_string()).collect()
            } else {
                let kinds: BTreeSet<_> =
                    page.episodes.iter().map(|episode| episode.task_type.clone()).collect();
                kinds.into_iter().filter(|kind| !kind.is_empty()).collect()
            }
        }
        // Free text.
        _ => Vec::new(),
    };
    let begun = request.argument.value.as_str();
    let mut values: Vec<String> =
        values.into_iter().filter(|value| value.starts_with(begun)).collect();
    values.truncate(CompletionInfo::MAX_VALUES);
    CompletionInfo::with_all_values(values).map_err(|e| Error::invalid("argument", e))
}

/// Whether what is referred to exists and has such an argument.
fn takes(reference: &Reference, argument: &str) -> bool {
    if let Some(name) = reference.as_prompt_name() {
        return prompts::definitions()
            .iter()
            .filter(|prompt| prompt.name == name)
            .any(|prompt| prompt.arguments.iter().flatten().any(|known| known.name == argument));
    }
    match reference.as_resource_uri() {
        Some(resources::EPISODE_TEMPLATE) => argument == "episode_id",
        Some(resources::PLAYBOOK_TEMPLATE) => argument == "task_type",
        _ => false,
    }
}
