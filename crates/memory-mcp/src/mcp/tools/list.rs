//! List episodes.

use std::fmt::Write as _;

use memory_core::{EpisodeStore, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter::FilterArguments;
use super::view::EpisodeRow;
use super::{Effect, Output, Tool, bounded};
use crate::mcp::arguments::or_default;
use crate::mcp::session::Session;

/// Episodes of a page, unless the call says otherwise.
const PAGE: u32 = 20;
const MAX_PAGE: u32 = 100;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListEpisodes {
    #[serde(default, deserialize_with = "or_default")]
    filter: FilterArguments,
    /// The last next_cursor.
    cursor: Option<String>,
    /// Default 20, max 100.
    limit: Option<u32>,
    project: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Listing {
    episodes: Vec<EpisodeRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl Tool for ListEpisodes {
    const NAME: &'static str = "list_episodes";
    const TITLE: &'static str = "List episodes";
    const DESCRIPTION: &'static str = "Episodes, newest first, running ones too.";
    const EFFECT: Effect = Effect::Reads;
    type Output = Listing;

    async fn run<S: EpisodeStore>(self, session: &Session<S>) -> Result<Listing> {
        let limit = bounded("limit", self.limit, PAGE, 1..=MAX_PAGE)?;
        let filter = self.filter.build(session.memory.now())?;
        let project = session.project(self.project)?;
        let (page, next_cursor) =
            session.page(project, filter, self.cursor.as_deref(), limit).await?;
        let episodes = page.episodes.iter().map(|e| EpisodeRow::of(e)).collect();
        Ok(Listing { episodes, next_cursor })
    }
}

impl Output for Listing {
    fn text(&self) -> String {
        if self.episodes.is_empty() {
            return "No episodes.".into();
        }
        let mut text = self.episodes.iter().map(EpisodeRow::text).collect::<Vec<_>>().join("\n");
        if let Some(cursor) = &self.next_cursor {
            let _ = write!(text, "\nMore: cursor {cursor}");
        }
        text
    }
}
