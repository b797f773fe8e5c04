//! Session transcripts: one session is one episode, however its lines are spread over files.

use std::fs;
use std::path::Path;

use memory_core::{EpisodeId, MetadataValue, OutcomeKind, Timestamp};
use serde_json::{Value, json};

use super::{import, import_text};

/// A line of session `s` at second `at`, with fields of its own.
fn line(kind: &str, at: u32, content: Value, more: Value) -> String {
    let mut line = json!({
        "type": kind, "sessionId": "s", "uuid": format!("{kind}-{at}"), "isSidechain": false,
        "timestamp": format!("2026-01-01T00:00:{at:02}.500Z"), "cwd": "/work", "gitBranch": "main",
        "message": {"role": kind, "id": format!("m{at}"), "model": "model-x", "content": content,
                    "usage": {"input_tokens": 3, "output_tokens": 4}},
    });
    for (key, value) in more.as_object().unwrap() {
        line[key] = value.clone();
    }
    format!("{line}\n")
}

fn user(at: u32, text: &str) -> String {
    line("user", at, json!(text), json!({}))
}

fn call(at: u32, id: &str, name: &str, input: Value, more: Value) -> String {
    let block = json!({"type": "tool_use", "id": id, "name": name, "input": input});
    line("assistant", at, json!([{"type": "thinking", "thinking": "hm"}, block]), more)
}

fn answer(at: u32, id: &str, content: Value, is_error: bool, more: Value) -> String {
    let block =
        json!({"type": "tool_result", "tool_use_id": id, "content": content, "is_error": is_error});
    line("user", at, json!([block]), more)
}

fn steps(path: &Path) -> Vec<String> {
    let imported = import(&[path]);
    let [episode] = imported.episodes.as_slice() else { panic!("{imported:?}") };
    episode.steps.iter().map(|s| format!("{}|{}|{}", s.tool, s.action, s.observation)).collect()
}

fn session() -> String {
    [
        line("user", 1, json!("<system-reminder>be good</system-reminder>"), json!({})),
        line("user", 2, json!("not said by anybody"), json!({"isMeta": true})),
        user(3, "<system-reminder>x</system-reminder>Fix the build"),
        line("assistant", 4, json!([{"type": "text", "text": "I look"}]), json!({})),
        call(5, "t1", "Bash", json!({"command": "cargo build"}), json!({})),
        answer(7, "t1", json!("error[E0308]"), true, json!({"toolUseResult": "Error: 101"})),
        call(8, "t2", "Task", json!({"description": "search", "prompt": "find it"}), json!({})),
        answer(20, "t2", json!([{"type": "text", "text": "found"}]), false, json!({})),
        line("assistant", 21, json!([{"type": "text", "text": "Done"}]), json!({})),
        user(22, "Thanks"),
    ]
    .concat()
}

#[test]
fn a_session_is_told_from_its_first_prompt_to_its_last_word() {
    let imported = import_text(&session());
    assert_eq!(imported.malformed, []);
    let [episode] = imported.episodes.as_slice() else { panic!("{imported:?}") };
    assert_eq!(episode.id, EpisodeId::derive(&[b"claude-code", b"s"]));
    assert_eq!(episode.task_description, "Fix the build");
    assert_eq!(episode.outcome.as_ref().unwrap().kind, OutcomeKind::Unjudged);
    assert_eq!(episode.ended_at, Some("2026-01-01T00:00:22.5Z".parse::<Timestamp>().unwrap()));
    assert_eq!(episode.metadata["git_branch"], MetadataValue::from("main"));
    assert_eq!(episode.metadata["model"], MetadataValue::from("model-x"));
    let [look, build, task, done] = episode.steps.as_slice() else { panic!("{episode:?}") };
    assert_eq!((look.action.as_str(), look.tokens), ("I look", Some(7)));
    assert_eq!((build.tool.as_str(), build.action.as_str()), ("Bash", "cargo build"));
    assert_eq!((build.success, build.latency_ms), (Some(false), Some(2000)));
    assert_eq!(build.error.as_deref(), Some("error[E0308]"));
    assert_eq!((task.observation.as_str(), task.success), ("found", Some(true)));
    assert_eq!((done.action.as_str(), done.observation.as_str()), ("Done", "Thanks"));
}

#[test]
fn a_grown_transcript_is_the_same_episode_with_another_digest() {
    let whole = import_text(&session());
    let early =
        import_text(&session().lines().take(6).map(|l| format!("{l}\n")).collect::<String>());
    assert_eq!(early.ids(), whole.ids());
    assert_ne!(early.names(), whole.names());
    assert_eq!(early.episodes[0].steps.len(), 2);
}

#[test]
fn repeated_and_unknown_lines_change_nothing() {
    let noise = "{\"type\":\"progress\",\"sessionId\":\"s\",\"data\":{}}\n\
                 {\"type\":\"file-history-snapshot\",\"messageId\":\"m\",\"snapshot\":{}}\n\n";
    let text = format!("{noise}{}{noise}{}", session(), session());
    assert_eq!(import_text(&text), import_text(&session()));
}

fn agent_lines() -> String {
    let side = json!({"isSidechain": true, "agentId": "a1"});
    [
        line("user", 9, json!("find it"), side.clone()),
        call(10, "t9", "Grep", json!({"pattern": "E0308"}), side.clone()),
        answer(11, "t9", json!("src/a.rs"), false, side.clone()),
        line("assistant", 12, json!([{"type": "text", "text": "It is in a.rs"}]), side),
    ]
    .concat()
}

const WITH_AGENT: [&str; 6] = [
    "|I look|",
    "Bash|cargo build|error[E0308]",
    "Task|Task(description=search, prompt=find it)|found",
    "Task/Grep|Task/Grep(pattern=E0308)|src/a.rs",
    "Task|It is in a.rs|",
    "|Done|Thanks",
];

#[test]
fn subagent_files_are_folded_into_their_session_in_time_order() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("s.jsonl");
    fs::write(&main, session()).unwrap();
    fs::write(folder.path().join("agent-a1.jsonl"), agent_lines()).unwrap();
    let other = agent_lines().replace("\"sessionId\":\"s\"", "\"sessionId\":\"other\"");
    fs::write(folder.path().join("agent-a2.jsonl"), other).unwrap();
    let expected = WITH_AGENT.map(|s| s.replace("Task/Grep(", "Grep("));
    assert_eq!(steps(&main), expected);
    assert_eq!(steps(&folder.path().join("agent-a1.jsonl")), expected);

    let nested = tempfile::tempdir().unwrap();
    let main = nested.path().join("s.jsonl");
    let below = nested.path().join("s/subagents/workflows/w1");
    fs::create_dir_all(&below).unwrap();
    fs::write(&main, session()).unwrap();
    fs::write(below.join("agent-a1.jsonl"), agent_lines()).unwrap();
    assert_eq!(steps(&main), expected);
    assert_eq!(steps(nested.path()), expected);
    assert_eq!(steps(&below.join("agent-a1.jsonl")), expected);
    assert_eq!(import(&[&main]).names(), import(&[nested.path()]).names());
}

#[test]
fn a_file_of_several_sessions_gives_an_episode_each_even_interleaved() {
    let of = |id: &str, text: String| {
        text.replace("\"sessionId\":\"s\"", &format!("\"sessionId\":\"{id}\""))
    };
    let (one, two) = (of("one", session()), of("two", session()));
    let mixed: String = one.lines().zip(two.lines()).map(|(a, b)| format!("{a}\n{b}\n")).collect();
    let imported = import_text(&mixed);
    assert_eq!(imported.malformed, []);
    let mut apart = import_text(&one);
    apart.episodes.extend(import_text(&two).episodes);
    assert_eq!(imported.episodes, apart.episodes);
}

#[test]
fn stray_lines_of_another_session_never_replace_it() {
    let stray =
        line("assistant", 5, json!([{"type": "text", "text": "x"}]), json!({"sessionId": "far"}));
    let imported = import_text(&format!("{}{stray}", session()));
    assert_eq!(imported.episodes, import_text(&session()).episodes);
    let [malformed] = imported.malformed.as_slice() else { panic!("{imported:?}") };
    assert_eq!(malformed.line, 11);
    assert!(malformed.problem.contains("session far"), "{malformed}");
}

#[test]
fn a_session_that_begins_with_a_command_is_named_after_it() {
    let command = "<command-message>fix</command-message><command-name>/fix</command-name>\
                   <command-args>issue 3</command-args>";
    let text =
        [user(1, command), call(2, "t", "Read", json!({"file_path": "/a"}), json!({}))].concat();
    let imported = import_text(&text);
    assert_eq!(imported.episodes[0].task_description, "/fix issue 3");
    assert_eq!(imported.episodes[0].steps[0].success, None);
}

#[test]
fn a_transcript_cut_in_its_last_line_gives_the_session_before_it() {
    let text = session();
    let cut = &text[..text.len() - 40];
    let imported = import_text(cut);
    assert_eq!(imported.episodes.len(), 1);
    let [malformed] = imported.malformed.as_slice() else { panic!("{imported:?}") };
    assert_eq!(malformed.line, 10);
    assert!(malformed.problem.contains("cut off"), "{malformed}");
}
