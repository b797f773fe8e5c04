//! What the protocol library asks of a server.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use futures::FutureExt;
use memory_core::EpisodeStore;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};

use super::message::RawArguments;
use super::session::{Projects, Session};
use super::tools;
use crate::telemetry;

/// What a client shows its model first, before it has seen any tool. Clients cut it at 2,048
/// characters.
const INSTRUCTIONS: &str = "\
start_episode, log_steps, complete_episode, recall, get_episode, list_episodes, feedback, \
forget_episode: a memory of the work of agents in this project, kept across sessions. What was \
tried before, what failed and what got past it is worth knowing before you begin.

When a task begins: start_episode with the task in the user's words. The answer brings what \
earlier episodes teach about it; read that before the first step.
While you work: log_steps after every few actions, failed ones too, with tool, action, what came \
back (shortened), success and error.
When you are stuck, or the task turns into another one: recall with the present problem, error \
messages included, and your episode_id. get_episode opens an episode that was recalled.
Before your context runs out, or to hand over: log_steps with a checkpoint. Whoever goes on finds the \
episode in list_episodes (state running), and what to know in get_episode.
When the task ends, well or not: complete_episode with the outcome, a verdict, and in reflection \
what you would do next time. Episodes that were never completed teach nothing.
When something recalled helped, misled you or is wrong: feedback with its id.

filter.where is a condition on metadata: repo = \"api\" AND (attempts > 2 OR NOT green EXISTS); \
also != < <= >= and STARTS WITH.
Pass ids and cursors on as they were given. A failed call says which field is wrong and what to do.";

/// An MCP server on a memory. Clones share it.
pub(crate) struct Server<S> {
    session: Arc<Session<S>>,
    tools: Arc<Vec<Tool>>,
    config: ServerConfig,
}

impl<S> Clone for Server<S> {
    fn clone(&self) -> Self {
        Server {
            session: self.session.clone(),
            tools: self.tools.clone(),
            config: self.config.clone(),
        }
    }
}

impl<S: EpisodeStore> Server<S> {
    pub(crate) fn new(session: Session<S>) -> Self {
        let implementation = Implementation::new("memory-mcp", env!("CARGO_PKG_VERSION"))
            .with_title("Episodic memory");
        let config = ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(implementation)
            .with_instructions(INSTRUCTIONS);
        Server { session: Arc::new(session), tools: Arc::new(tools::definitions()), config }
    }

    /// What the caller may see: over HTTP what the token of the request opens, over stdio everything.
    fn session_of(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Result<Arc<Session<S>>, ErrorData> {
        let Some(request) = context.extensions.get::<Parts>() else {
            return Ok(self.session.clone());
        };
        match request.extensions.get::<Projects>() {
            Some(open) => Ok(Arc::new(self.session.kept_to(open.clone()))),
            None => Err(ErrorData::internal_error("the request came without access", None)),
        }
    }
}

impl<S> Server<S> {
    /// Counts a call that was answered.
    fn measure(&self, tool: &str, answer: &Result<CallToolResponse, ErrorData>, took: Duration) {
        // Whatever a client makes up must not become a label.
        let known = self.tools.iter().any(|it| it.name == tool);
        let tool = if known { tool } else { "unknown" }.to_owned();
        let error = match answer {
            Ok(CallToolResponse::Complete(result)) if result.is_error == Some(true) => {
                Some("tool_error")
            }
            Ok(_) => None,
            Err(_) => Some("protocol_error"),
        };
        telemetry::CALLS.record(telemetry::Call { tool, error }, took);
    }
}

impl<S: EpisodeStore> rmcp::ServerHandler for Server<S> {
    fn get_info(&self) -> ServerConfig {
        self.config.clone()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = match context.extensions.get::<RawArguments>() {
            Some(raw) => raw.0.clone(),
            None => serde_json::to_string(&request.arguments.unwrap_or_default())
                .map_err(|e| ErrorData::invalid_params(format!("arguments: {e}"), None))?
                .into(),
        };
        let session = self.session_of(&context)?;
        let call = answered(&request.name, tools::call(&session, &request.name, &arguments));
        let began = Instant::now();
        tokio::select! {
            answer = call => {
                self.measure(&request.name, &answer, began.elapsed());
                answer
            }
            // Nobody waits for this answer any more; the work ends here.
            () = context.ct.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
        }
    }
}

/// The answer of a tool, or, should it panic, an answer that says so: the client must not wait for
/// ever, and the other calls go on.
async fn answered<T: Into<CallToolResponse>>(
    tool: &str,
    call: impl Future<Output = Result<T, ErrorData>>,
) -> Result<CallToolResponse, ErrorData> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(answer) => answer.map(Into::into),
        Err(_) => {
            tracing::error!(tool, "the tool panicked");
            let text = format!(
                "{tool} failed by an internal error (the server's log has details); \
                 whether anything was written is unknown, get_episode or list_episodes show it"
            );
            Ok(tools::failure(text).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_fit_and_begin_with_the_tools() {
        println!("{} characters", INSTRUCTIONS.chars().count());
        assert!(INSTRUCTIONS.chars().count() < 2048);
        let names: Vec<_> = tools::definitions().into_iter().map(|t| t.name).collect();
        assert!(INSTRUCTIONS.starts_with(&names.join(", ")), "{names:?}");
    }

    #[tokio::test]
    async fn a_panicking_tool_is_answered() {
        async fn call() -> Result<rmcp::model::CallToolResult, ErrorData> {
            panic!("on purpose")
        }
        let Ok(CallToolResponse::Complete(result)) = answered("recall", call()).await else {
            panic!("no result")
        };
        assert_eq!(result.is_error, Some(true));
        assert!(result.structured_content.is_none());
    }
}
