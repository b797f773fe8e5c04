//! What the protocol library asks of a server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use memory_core::{EpisodeStore, Error};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, ErrorData,
    GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ResourceContents,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};

use super::message::RawArguments;
use super::running::Running;
use super::session::{Projects, Session};
use super::work::{Unfinished, attend};
use super::{completion, prompts, resources, tools};
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
    running: Running,
    tools: Arc<Vec<Tool>>,
    config: ServerConfig,
}

impl<S> Clone for Server<S> {
    fn clone(&self) -> Self {
        Server {
            session: self.session.clone(),
            running: self.running.clone(),
            tools: self.tools.clone(),
            config: self.config.clone(),
        }
    }
}

impl<S: EpisodeStore> Server<S> {
    pub(crate) fn new(session: Session<S>) -> Self {
        let implementation = Implementation::new("memory-mcp", env!("CARGO_PKG_VERSION"))
            .with_title("Episodic memory");
        let capabilities = ServerCapabilities::builder()
            .enable_completions()
            .enable_prompts()
            .enable_resources()
            .enable_tools()
            .build();
        let config = ServerConfig::new(capabilities)
            .with_server_info(implementation)
            .with_instructions(INSTRUCTIONS);
        Server {
            session: Arc::new(session),
            running: Running::default(),
            tools: Arc::new(tools::definitions()),
            config,
        }
    }

    /// The requests at work, to cancel one.
    pub(crate) fn running(&self) -> Running {
        self.running.clone()
    }

    /// Reads for a request that is no tool call: what goes wrong is an error of the protocol.
    async fn read<T>(
        &self,
        context: &RequestContext<RoleServer>,
        what: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, ErrorData> {
        attend(context, &self.running, what, work).await?.map_err(protocol_error)
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
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        only_page(request)?;
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
        let call = tools::call(&session, &request.name, &arguments);
        let began = Instant::now();
        let answer = match attend(&context, &self.running, &request.name, call).await {
            Ok(answer) => answer.map(Into::into),
            Err(Unfinished::Panicked) => Ok(panicked(&request.name).into()),
            Err(cancelled) => return Err(cancelled.into()),
        };
        self.measure(&request.name, &answer, began.elapsed());
        answer
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let session = self.session_of(&context)?;
        let cursor = request.and_then(|page| page.cursor);
        let list = resources::list(&session, cursor.as_deref());
        self.read(&context, "resources/list", list).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        only_page(request)?;
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let session = self.session_of(&context)?;
        let read = resources::read(&session, &request.uri);
        let text = self.read(&context, "resources/read", read).await.map_err(|mut e| {
            e.data = Some(serde_json::json!({ "uri": request.uri }));
            e
        })?;
        Ok(ReadResourceResult::new(vec![ResourceContents::text(text, request.uri)]).into())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        only_page(request)?;
        Ok(ListPromptsResult::with_all_items(prompts::definitions()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let session = self.session_of(&context)?;
        let get = prompts::get(&session, &request.name, request.arguments.unwrap_or_default());
        self.read(&context, "prompts/get", get).await.map(Into::into)
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let session = self.session_of(&context)?;
        let complete = completion::complete(&session, &request);
        self.read(&context, "completion/complete", complete).await.map(CompleteResult::new)
    }
}

/// A list that is one page has no cursor to go on from.
fn only_page(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|page| page.cursor) {
        None => Ok(()),
        Some(_) => {
            let problem = "cursor: this list is one page; leave the cursor out";
            Err(ErrorData::invalid_params(problem, None))
        }
    }
}

/// The same for what is no tool call: there is no result that could carry the error.
fn protocol_error(e: Error) -> ErrorData {
    match e {
        Error::Invalid { ref field, .. } if field != "uri" => {
            ErrorData::invalid_params(e.to_string(), None)
        }
        Error::Invalid { .. } | Error::NotFound { .. } => {
            ErrorData::resource_not_found(e.to_string(), None)
        }
        other => ErrorData::internal_error(other.to_string(), None),
    }
}

/// The answer of a tool that panicked: the client must not wait for ever, and the other calls go on.
fn panicked(tool: &str) -> rmcp::model::CallToolResult {
    tools::failure(format!(
        "{tool} failed by an internal error (the server's log has details); \
         whether anything was written is unknown, get_episode or list_episodes show it"
    ))
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
}
