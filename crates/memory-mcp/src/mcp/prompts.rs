//! Prompts: what a user starts by name. They read; what is to be written the model writes by tools.

use memory_core::recall::RecallQuery;
use memory_core::store::Scope;
use memory_core::{EpisodeId, EpisodeStore, Error, Result};
use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

use super::session::Session;
use super::tools;

pub(super) const START: &str = "start_task";
pub(super) const REFLECT: &str = "reflect";

/// What `prompts/list` answers.
pub(super) fn definitions() -> Vec<Prompt> {
    let argument = |name: &str, description: &str, required: bool| {
        PromptArgument::new(name).with_description(description).with_required(required)
    };
    let project = argument("project", "Default: this server's.", false);
    let start = vec![
        argument("task", "What is to be done.", true),
        argument("task_type", "Like bugfix, sql, ops.", false),
        project.clone(),
    ];
    let reflect = vec![argument("episode_id", "The episode that is over.", true), project];
    vec![
        Prompt::new(
            START,
            Some("Begin a task with what earlier episodes teach about it."),
            Some(start),
        )
        .with_title("Start a task with memory"),
        Prompt::new(
            REFLECT,
            Some("Look back on an episode and record what the next one should know."),
            Some(reflect),
        )
        .with_title("Reflect on a task"),
    ]
}

/// What `prompts/get` answers.
pub(super) async fn get<S: EpisodeStore>(
    session: &Session<S>,
    name: &str,
    arguments: JsonObject,
) -> Result<GetPromptResult> {
    let known = definitions();
    let Some(prompt) = known.iter().find(|prompt| prompt.name == name) else {
        let names: Vec<_> = known.iter().map(|prompt| prompt.name.as_str()).collect();
        let name = memory_core::error::excerpt(name);
        let problem =
            format!("there is no prompt \"{name}\"; the prompts are {}", names.join(", "));
        return Err(Error::invalid("name", problem));
    };
    let mut given = Arguments::read(prompt, arguments)?;
    let project = session.project(given.take("project"))?;
    let text = match name {
        START => start(session, project, given.required("task")?, given.take("task_type")).await?,
        _ => reflect(session, project, &given.required("episode_id")?).await?,
    };
    let result = GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]);
    Ok(match &prompt.description {
        Some(description) => result.with_description(description.clone()),
        None => result,
    })
}

async fn start<S: EpisodeStore>(
    session: &Session<S>,
    project: String,
    task: String,
    task_type: Option<String>,
) -> Result<String> {
    let mut query = RecallQuery::new(task.as_str(), Scope::Project(project.clone()));
    query.budget_tokens = tools::START_BUDGET_TOKENS as usize;
    let known = session.memory.recall(&query).await?.to_text();
    let kind = task_type.map_or(String::new(), |kind| format!(", task_type \"{kind}\""));
    Ok(format!(
        "{task}\n\nWork on this with the memory of earlier episodes. What they teach about it:\n\n\
         {known}\n\nFirst call start_episode with the task above, project \"{project}\"{kind} and \
         recall_budget_tokens 0, since you have just read what it would recall. Record what you do \
         with log_steps, failed steps too. At the end, well or not, call complete_episode with the \
         outcome, a verdict and what you would do next time."
    ))
}

async fn reflect<S: EpisodeStore>(
    session: &Session<S>,
    project: String,
    episode_id: &str,
) -> Result<String> {
    let id: EpisodeId = episode_id.parse().map_err(|e| match e {
        Error::Invalid { problem, .. } => Error::invalid("episode_id", problem),
        other => other,
    })?;
    let episode = session.memory.require(&Scope::Project(project), id).await?;
    let next = if episode.is_running() {
        "Then call complete_episode with the outcome, a verdict, and this reflection in worked, \
         failed and next_time."
    } else {
        "It is completed and stays as it is. Call feedback on each thing recalled for it that \
         helped, did not help or is wrong; what is new, say to the user."
    };
    Ok(format!(
        "Look back on this episode of your work:\n\n{}\n\nSay in a few short sentences each: what \
         worked, what failed and why, and what you would do differently next time. Name commands, \
         files and errors as they were; leave out what any engineer knows. {next}",
        tools::whole(&episode)
    ))
}

/// The arguments of a prompt. Those left empty by a form count as left out.
struct Arguments(JsonObject);

impl Arguments {
    fn read(prompt: &Prompt, given: JsonObject) -> Result<Self> {
        let known = prompt.arguments.as_deref().unwrap_or_default();
        for (name, value) in &given {
            if !known.iter().any(|argument| argument.name == *name) {
                let names: Vec<_> = known.iter().map(|argument| argument.name.as_str()).collect();
                let problem =
                    format!("is no argument of {}; it takes {}", prompt.name, names.join(", "));
                return Err(Error::invalid(memory_core::error::excerpt(name), problem));
            }
            if !value.is_string() {
                return Err(Error::invalid(name.clone(), "must be a string"));
            }
        }
        Ok(Arguments(given))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        match self.0.remove(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text),
            _ => None,
        }
    }

    fn required(&mut self, name: &str) -> Result<String> {
        self.take(name).ok_or_else(|| Error::invalid(name, "is missing"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_checked_by_name_and_empty_ones_are_left_out() {
        let prompts = definitions();
        let read = |given: Value| Arguments::read(&prompts[0], given.as_object().unwrap().clone());
        let mut good = read(json!({"task": "x", "project": " "})).unwrap();
        assert_eq!((good.take("task").as_deref(), good.take("project")), (Some("x"), None));
        assert_eq!(good.required("task").unwrap_err().to_string(), "task: is missing");
        let e = read(json!({"tsak": "x"})).err().unwrap().to_string();
        assert_eq!(e, "tsak: is no argument of start_task; it takes task, task_type, project");
        assert!(read(json!({"task": 7})).is_err());
    }
}
