//! Resources: what a user attaches to a conversation. `episode://ID` is an episode as text,
//! `playbook://TASK_TYPE` what the latest episodes of that kind share. A `?project=NAME` behind them
//! names another project than the one that calls are about.

use std::collections::BTreeSet;

use memory_core::error::excerpt;
use memory_core::store::{Filter, Page};
use memory_core::{Episode, EpisodeId, EpisodeStore, Error, Result};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rmcp::model::{ListResourcesResult, Resource, ResourceTemplate};

use super::session::Session;
use super::tools;

pub(super) const EPISODE_TEMPLATE: &str = "episode://{episode_id}";
pub(super) const PLAYBOOK_TEMPLATE: &str = "playbook://{task_type}";

/// Episodes of a page.
const PAGE: usize = 50;

const TEXT: &str = "text/plain";

/// What `resources/templates/list` answers.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(EPISODE_TEMPLATE, "episode")
            .with_title("Episode")
            .with_description(
                "One episode with its steps, shortened; ?project=NAME for another project's.",
            )
            .with_mime_type(TEXT),
        ResourceTemplate::new(PLAYBOOK_TEMPLATE, "playbook")
            .with_title("Playbook")
            .with_description(
                "What the latest episodes of a task type share: steps, errors, ways out.",
            )
            .with_mime_type(TEXT),
    ]
}

/// A page of episodes, the newest first; on the first page the playbooks of their task types too.
pub(super) async fn list<S: EpisodeStore>(
    session: &Session<S>,
    cursor: Option<&str>,
) -> Result<ListResourcesResult> {
    let (page, next) =
        session.page(session.project(None)?, Filter::default(), cursor, PAGE).await?;
    let playbooks = if cursor.is_none() { task_types(&page) } else { BTreeSet::new() };
    let mut resources: Vec<Resource> = playbooks.into_iter().map(playbook_resource).collect();
    resources.extend(page.episodes.iter().map(|episode| episode_resource(episode)));
    let mut result = ListResourcesResult::with_all_items(resources);
    result.next_cursor = next;
    Ok(result)
}

/// The task types of episodes that are over: only those make a playbook.
fn task_types(page: &Page) -> BTreeSet<&str> {
    let over = page.episodes.iter().filter(|episode| !episode.is_running());
    over.map(|episode| episode.task_type.as_str()).filter(|kind| !kind.is_empty()).collect()
}

fn episode_resource(episode: &Episode) -> Resource {
    let (title, about) = tools::headline(episode);
    Resource::new(format!("episode://{}", episode.id), episode.id.to_string())
        .with_title(title)
        .with_description(about)
        .with_mime_type(TEXT)
}

fn playbook_resource(task_type: &str) -> Resource {
    let encoded = utf8_percent_encode(task_type, NON_ALPHANUMERIC);
    Resource::new(format!("playbook://{encoded}"), format!("playbook {task_type}"))
        .with_title(format!("Playbook: {task_type}"))
        .with_description("What the latest episodes of this task type share.")
        .with_mime_type(TEXT)
}

/// The text of a resource.
pub(super) async fn read<S: EpisodeStore>(session: &Session<S>, uri: &str) -> Result<String> {
    let Address { what, project } = Address::parse(uri)?;
    let scope = session.scope(project)?;
    match what {
        What::Episode(id) => {
            let episode = session.memory.require(&scope, id).await?;
            Ok(tools::whole(&episode))
        }
        What::Playbook(task_type) => {
            let filter = Filter { task_type: Some(task_type.clone()), ..Filter::default() };
            let book = session.memory.playbook(&scope, filter).await?;
            if book.runs == 0 {
                let id = excerpt(&task_type);
                let hint =
                    "no judged episode is of this task type; list_episodes shows what there is";
                return Err(Error::NotFound { kind: "playbook", id, hint });
            }
            Ok(format!("{task_type}: {}", book.to_text()))
        }
    }
}

/// What a URI names.
#[derive(Debug, PartialEq)]
struct Address {
    what: What,
    project: Option<String>,
}

#[derive(Debug, PartialEq)]
enum What {
    Episode(EpisodeId),
    Playbook(String),
}

impl Address {
    fn parse(uri: &str) -> Result<Self> {
        let (path, query) = uri.split_once('?').map_or((uri, None), |(p, q)| (p, Some(q)));
        let (scheme, name) = path.split_once("://").unwrap_or(("", path));
        let name = decoded(name.trim_end_matches('/'))?;
        let project = match query.map(|query| query.split_once('=')) {
            None => None,
            Some(Some(("project", name))) => Some(decoded(name)?),
            Some(_) => return Err(Error::invalid("uri", "takes ?project=NAME and nothing else")),
        };
        let what = match scheme {
            "episode" => What::Episode(name.parse().map_err(|e| match e {
                Error::Invalid { problem, .. } => Error::invalid("uri", problem),
                other => other,
            })?),
            "playbook" if !name.is_empty() => What::Playbook(name),
            _ => {
                let problem = format!(
                    "\"{}\" is neither episode://ID nor playbook://TASK_TYPE",
                    excerpt(uri)
                );
                return Err(Error::invalid("uri", problem));
            }
        };
        Ok(Address { what, project })
    }
}

fn decoded(text: &str) -> Result<String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(|text| text.into_owned()).map_err(|_| Error::invalid("uri", "is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn uris_name_an_episode_or_a_playbook_and_maybe_a_project() {
        let episode = What::Episode(ID.parse().unwrap());
        let read = |uri: &str| Address::parse(uri).unwrap();
        assert_eq!(read(&format!("episode://{ID}")), Address { what: episode, project: None });
        let other = read(&format!("episode://{ID}/?project=a%20b"));
        assert_eq!(other.project.as_deref(), Some("a b"));
        let listed = playbook_resource("fix a/b?");
        assert_eq!(read(&listed.uri).what, What::Playbook("fix a/b?".into()));
    }

    #[test]
    fn other_uris_are_refused_with_what_would_be_right() {
        for (uri, words) in [
            ("episode://7", "is no id"),
            ("playbook://", "neither episode://ID nor"),
            ("file:///etc/passwd", "neither episode://ID nor"),
            ("", "neither episode://ID nor"),
            ("playbook://a?projct=b", "takes ?project=NAME"),
            ("playbook://%ff", "is not UTF-8"),
        ] {
            let e = Address::parse(uri).unwrap_err().to_string();
            assert!(e.starts_with("uri: ") && e.contains(words), "{uri}: {e}");
        }
    }
}
