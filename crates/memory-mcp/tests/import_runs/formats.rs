//! Small samples of every format, in the layouts that agents and tools really write.

use memory_core::record::Record;
use memory_core::{Complexity, Episode, EpisodeId, MetadataValue, OutcomeKind, Timestamp};
use serde_json::{Value, json};

use super::{Imported, import_text};

fn only(imported: &Imported) -> &Episode {
    assert_eq!(imported.malformed, []);
    assert_eq!(imported.episodes.len(), 1);
    &imported.episodes[0]
}

fn kind(episode: &Episode) -> OutcomeKind {
    episode.outcome.as_ref().unwrap().kind
}

/// Actions with what came back, one step a line.
fn transcript(episode: &Episode) -> Vec<String> {
    let line = |s: &memory_core::Step| format!("{}|{}|{}", s.tool, s.action, s.observation);
    episode.steps.iter().map(line).collect()
}

fn tau_run(reward: Value) -> Value {
    json!({
        "task_id": 7, "trial": 1, "reward": reward,
        "info": {"task": {"instruction": "Cancel the trip.", "user_id": "ada_1",
                          "actions": [{"name": "secret_solution", "kwargs": {}}]},
                 "reward_info": {"gt_data_hash": "secret_hash"}},
        "traj": [
            {"role": "system", "content": "# Retail agent policy\nBe kind."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Which trip, café?"},
            {"role": "user", "content": "The next one."},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c", "type": "function",
                 "function": {"name": "find", "arguments": "{\"user\": \"ada_1\"}"}},
                {"id": "c", "function": {"name": "cancel", "arguments": {"trip": 3}}}]},
            {"role": "tool", "tool_call_id": "other", "name": "find", "content": "trip 3"},
            {"role": "tool", "tool_call_id": "c", "name": "cancel", "content": "Error: too late"},
            {"role": "assistant", "content": "Too late.", "tool_calls": null},
        ]
    })
}

#[test]
fn a_tau_bench_run_is_told_step_by_step_without_its_answer_sheet() {
    let imported = import_text(&json!([tau_run(json!(0))]).to_string());
    let episode = only(&imported);
    assert_eq!(episode.task_description, "Cancel the trip.");
    assert_eq!((kind(episode), episode.context.domain.as_str()), (OutcomeKind::Failure, "retail"));
    assert_eq!(
        transcript(episode),
        [
            "|User: Hi|",
            "|Which trip, café?|The next one.",
            "find|find(user=ada_1)|trip 3",
            "cancel|cancel(trip=3)|Error: too late",
            "|Too late.|",
        ]
    );
    assert_eq!(episode.steps[2].success, Some(true));
    assert_eq!(episode.steps[3].success, Some(false));
    assert_eq!(episode.steps[3].error.as_deref(), Some("Error: too late"));
    assert_eq!(episode.steps[3].parameters.as_str(), "{\"trip\":3}");
    assert!(!serde_json::to_string(episode).unwrap().contains("secret"));
}

#[test]
fn layouts_and_white_space_do_not_change_what_a_run_is() {
    let run = tau_run(json!(1.0));
    let pretty = serde_json::to_string_pretty(&json!([run])).unwrap();
    let array = import_text(&pretty);
    let dict = import_text(&json!({"7": run}).to_string());
    let lines = import_text(&format!("{run}\n"));
    let escaped = import_text(&format!("{run}\n").replace('é', "\\u00e9").replace("1.0", "1"));
    assert_eq!(array.names(), dict.names());
    assert_eq!(array.names(), escaped.names());
    assert_eq!(array.names(), lines.names());
    assert_eq!(kind(only(&array)), OutcomeKind::Success);
}

#[test]
fn rewards_between_0_and_1_are_partial_and_absent_or_odd_ones_unjudged() {
    for (reward, expected) in [
        (json!(0.5), OutcomeKind::Partial),
        (json!(1), OutcomeKind::Success),
        (json!("0.0"), OutcomeKind::Failure),
        (json!(null), OutcomeKind::Unjudged),
        (json!(7), OutcomeKind::Unjudged),
        (json!(-0.1), OutcomeKind::Unjudged),
    ] {
        let imported = import_text(&json!([tau_run(reward.clone())]).to_string());
        assert_eq!(kind(only(&imported)), expected, "{reward}");
    }
}

fn intercode_run(actions: &[&str], reward: f64) -> Value {
    let last = actions.len() - 1;
    let rewards: Vec<f64> =
        (0..actions.len()).map(|i| if i == last { reward } else { 0.0 }).collect();
    let observations: Vec<String> = actions.iter().map(|a| format!("ran {a}")).collect();
    json!({
        "environment": "ic_bash", "dataset": "d.json", "task_id": 0, "query": "count the files",
        "turn_history": {"actions": actions, "observations": observations, "rewards": rewards,
                         "valid_action": vec![false; actions.len()]},
        "info": {"eval_obs": "secret"},
        "summary": {"max_reward": reward, "max_reward_idx": last, "turns_taken": actions.len(),
                    "turns_max": 10},
        "hardness": "extra"
    })
}

#[test]
fn an_intercode_run_has_a_step_a_turn_and_its_best_reward() {
    let imported =
        import_text(&json!({"0": intercode_run(&["ls", "ls | wc -l"], 1.0)}).to_string());
    let episode = only(&imported);
    assert_eq!(transcript(episode), ["bash|ls|ran ls", "bash|ls | wc -l|ran ls | wc -l"]);
    assert_eq!((episode.steps[0].success, episode.steps[1].success), (Some(false), Some(true)));
    assert_eq!(episode.steps[1].parameters.as_str(), "{\"reward\":1}");
    assert_eq!((kind(episode), episode.task_type.as_str()), (OutcomeKind::Success, "bash"));
    assert_eq!(episode.context.complexity, Some(Complexity::Complex));
    assert_eq!(episode.metadata["turns_taken"], MetadataValue::Integer(2));
    assert!(!serde_json::to_string(episode).unwrap().contains("secret"));
}

#[test]
fn two_agents_with_the_same_answer_to_a_task_are_two_runs() {
    let file = |first: &[&str]| {
        json!({"0": intercode_run(first, 0.5), "1": intercode_run(&["wc -l"], 1.0)}).to_string()
    };
    let one = import_text(&file(&["a", "b", "c", "d"]));
    let other = import_text(&file(&["a", "b", "c", "e"]));
    let again = import_text(&file(&["a", "b", "c", "d"]));
    assert!(one.ids().is_disjoint(&other.ids()));
    assert_eq!(one.names(), again.names());
}

#[test]
fn missing_and_null_fields_are_no_reason_to_refuse_an_intercode_run() {
    let run = json!({"query": "q", "turn_history": {"actions": ["SELECT 1"], "observations": null},
                     "environment": null, "extra": [1]});
    let imported = import_text(&json!([run]).to_string());
    let episode = only(&imported);
    assert_eq!(kind(episode), OutcomeKind::Unjudged);
    assert_eq!(transcript(episode), ["action|SELECT 1|"]);
}

#[test]
fn thoughts_and_plans_of_intercode_turns_are_kept() {
    let mut run = intercode_run(&["ls", "wc -l"], 1.0);
    run["turn_history"]["thoughts"] = json!(["look around", "count"]);
    run["turn_history"]["steps"] = json!(["List the files.", ""]);
    let imported = import_text(&json!({"0": run}).to_string());
    let of_step = |n: usize| only(&imported).steps[n].parameters.as_str().to_owned();
    let first = r#"{"thought":"look around","plan":"List the files.","reward":0}"#;
    assert_eq!(of_step(0), first);
    assert_eq!(of_step(1), r#"{"thought":"count","reward":1}"#);
}

#[test]
fn intercode_results_may_be_wrapped_in_what_describes_the_experiment() {
    let runs = json!({"4": intercode_run(&["ls"], 0.5), "7": intercode_run(&["wc -l"], 1.0)});
    let plain = import_text(&runs.to_string());
    let wrapped = json!({"meta": {"env": "bash", "list": [{}]}, "logs": runs, "after": [1]});
    let imported = import_text(&wrapped.to_string());
    assert_eq!((plain.names(), 2), (imported.names(), imported.names().len()));

    let text = wrapped.to_string();
    let cut = text.find(r#""7""#).unwrap() + 40;
    let imported = import_text(&text[..cut]);
    assert_eq!((imported.names().len(), imported.malformed.len()), (1, 1));
}

#[test]
fn a_swe_agent_run_gives_the_issue_and_what_was_submitted() {
    let run = json!({
        "environment": "swe_main",
        "trajectory": [
            {"action": "open a.py\n", "observation": "[File: a.py]", "thought": "look", "state": {},
             "execution_time": 0.25},
            {"action": "frobnicate", "observation": "bash: frobnicate: command not found",
             "response": "try"},
            {"action": "", "observation": "", "thought": "done"}],
        "history": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "We solve another issue", "is_demo": true},
            {"role": "user", "content": [{"type": "text", "text":
                "We solve an issue\nISSUE:\nIt breaks.\n\nINSTRUCTIONS:\nOne command."}]}],
        "info": {"exit_status": "exit_cost", "submission": "diff --git"}
    });
    let imported = import_text(&run.to_string());
    let episode = only(&imported);
    assert_eq!(episode.task_description, "It breaks.");
    assert_eq!(
        transcript(episode),
        [
            "open|open a.py|[File: a.py]",
            "frobnicate|frobnicate|bash: frobnicate: command not found",
            "|done|",
            "submit|submit|diff --git",
        ]
    );
    assert_eq!(episode.steps[0].latency_ms, Some(250));
    assert_eq!(episode.steps[0].parameters.as_str(), "{\"thought\":\"look\"}");
    assert_eq!(episode.steps[1].success, Some(false));
    assert_eq!(kind(episode), OutcomeKind::Unjudged);
    assert_eq!(episode.outcome.as_ref().unwrap().verdict, "exit status: exit_cost");
}

#[test]
fn a_trajectory_of_messages_alone_still_has_steps() {
    let run = json!({"history": [
        {"role": "user", "content": "<pr_description>\nFix it\n</pr_description> and so on"},
        {"role": "assistant", "content": "I look", "tool_calls": [
            {"function": {"name": "find_file", "arguments": "{\"name\":\"a.py\"}"}}]},
        {"role": "tool", "content": "Found\n(Open file: n/a)\n(Current directory: /)\nbash-$"},
        {"role": "assistant", "content": "t", "thought": "t", "action": "submit"}]});
    let imported = import_text(&run.to_string());
    let episode = only(&imported);
    assert_eq!(episode.task_description, "Fix it");
    assert_eq!(transcript(episode), ["bash|find_file(name=a.py)|Found", "submit|submit|"]);
}

#[test]
fn a_verdict_in_the_trajectory_is_taken_and_giving_up_is_abandoned() {
    let run = |info: Value| {
        let run = json!({"trajectory": [{"action": "ls", "observation": "a",
                          "query": [{"role": "user", "content": "do it"}]}], "info": info});
        kind(only(&import_text(&run.to_string())))
    };
    assert_eq!(run(json!({"resolved": true})), OutcomeKind::Success);
    assert_eq!(run(json!({"resolved": false})), OutcomeKind::Failure);
    assert_eq!(run(json!({"exit_status": "exit_forfeit"})), OutcomeKind::Abandoned);
    assert_eq!(run(json!(null)), OutcomeKind::Unjudged);
}

#[test]
fn complete_native_records_are_kept_to_the_letter() {
    let line = r#"{"kind":"episode","id":"0198c0de-7a3b-7c11-9e02-5d1f2a3b4c5d","project":"p","task_type":"","task_description":"t","context":{"domain":"","language":"","framework":"","complexity":null,"tags":[]},"started_at":"2026-01-01T00:00:00Z","ended_at":null,"steps":[{"number":1,"tool":"x","action":"y","parameters":{"n":1e400,"z":"\u0000"},"observation":"","success":null,"error":null,"latency_ms":null,"tokens":null,"at":null}],"outcome":null,"reward":null,"reflection":{"worked":[],"failed":[],"next_time":[]},"lessons":[],"metadata":{},"source":null,"version":3,"archived_at":null}"#;
    let options = memory_mcp::import::ImportOptions {
        project: "other".to_owned(),
        default_time: Timestamp(5),
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.jsonl");
    std::fs::write(&file, format!("{line}\n")).unwrap();
    let plan = memory_mcp::import::plan(&[file]).unwrap();
    let items: Vec<_> = memory_mcp::import::Importer::new(plan, options).collect();
    let [Ok(memory_mcp::import::ImportItem::Record(record))] = items.as_slice() else {
        panic!("{items:?}")
    };
    assert_eq!(record.to_line().unwrap(), line);
    assert!(matches!(record, Record::Episode(_)));
}

#[test]
fn a_native_episode_needs_no_more_than_a_task() {
    let text = "{\"task_description\":\"fix it\",\"reward\":{\"score\":0.5,\"source\":\"user\"},\
                \"steps\":[{\"action\":\"a\"},{\"action\":\"b\"}]}\n\
                {\"task_description\":\"fix that\",\"id\":null}\n";
    let imported = import_text(text);
    assert_eq!(imported.malformed, []);
    let [first, second] = imported.episodes.as_slice() else { panic!("{imported:?}") };
    assert_eq!((kind(first), kind(second)), (OutcomeKind::Partial, OutcomeKind::Unjudged));
    assert_eq!(first.project, "default");
    assert_eq!(first.steps[1].number, 2);
    assert_eq!(import_text(text).names(), imported.names());
    assert_eq!(import_text(&format!("[{}]", text.lines().next().unwrap())).ids().len(), 1);
}

#[test]
fn native_lines_that_break_a_rule_are_reported_and_the_rest_goes_in() {
    let text = "{\"task_description\":\"\"}\n{\"kind\":\"wish\"}\n{\"note\":1}\nnot json\n\
                {\"task_description\":\"t\",\"reward\":{\"score\":2,\"source\":\"user\"}}\n\
                {\"task_description\":\"t\",\"outcome\":{\"kind\":\"splendid\"}}\n\
                {\"kind\":\"tombstone\",\"id\":\"0198c0de-7a3b-7c11-9e02-5d1f2a3b4c5d\",\
                \"project\":\"p\",\"version\":1,\"at\":\"2026-01-01T00:00:00Z\"}\n\
                {\"task_description\":\"a NUL \\u0000 and no NUL \\\\u0000\"}\n";
    let imported = import_text(text);
    let lines: Vec<u64> = imported.malformed.iter().map(|m| m.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5, 6], "{:#?}", imported.malformed);
    assert_eq!(imported.records, 1);
    let [episode] = imported.episodes.as_slice() else { panic!("{imported:?}") };
    assert_eq!(episode.task_description, "a NUL \\0 and no NUL \\u0000");
    assert_eq!(episode.metadata["import_nul_escaped"], MetadataValue::Integer(1));
}

#[test]
fn entities_of_a_memory_file_become_episodes_with_their_relations() {
    let text = "{\"type\":\"entity\",\"name\":\"Ada\",\"entityType\":\"person\",\
                \"observations\":[\"writes Rust\",\"likes tea\"]}\n\
                {\"type\":\"entity\",\"name\":\"memory-mcp\",\"entityType\":\"project\"}\n\
                {\"type\":\"relation\",\"from\":\"Ada\",\"to\":\"memory-mcp\",\"relationType\":\"maintains\"}\n\
                {\"type\":\"relation\",\"from\":\"\",\"to\":\"x\",\"relationType\":\"r\"}\n\
                {\"type\":\"wish\",\"name\":\"w\"}\n";
    let imported = import_text(text);
    let lines: Vec<u64> = imported.malformed.iter().map(|m| m.line).collect();
    assert_eq!(lines, [4, 5]);
    let [ada, project] = imported.episodes.as_slice() else { panic!("{imported:?}") };
    assert_eq!(ada.task_description, "Ada (person)");
    assert_eq!(ada.steps[0].observation, "writes Rust\nlikes tea\nAda maintains memory-mcp");
    assert_eq!(project.steps[0].observation, "Ada maintains memory-mcp");
    assert_eq!(kind(ada), OutcomeKind::Unjudged);

    let grown = import_text(&text.replace("likes tea", "likes coffee"));
    assert_eq!(grown.ids(), imported.ids());
    assert_ne!(grown.names(), imported.names());
    assert_eq!(grown.episodes[1], imported.episodes[1]);
}

#[test]
fn ids_come_from_format_and_identity() {
    let text =
        "{\"type\":\"entity\",\"name\":\"Ada\",\"entityType\":\"person\",\"observations\":[]}";
    let imported = import_text(text);
    let source = only(&imported).source.clone().unwrap();
    let id = EpisodeId::derive(&[source.format.as_bytes(), source.identity.as_bytes()]);
    assert_eq!(only(&imported).id, id);
    assert_eq!(
        (source.format.as_str(), source.identity.as_str()),
        ("mcp-memory", "[\"Ada\",\"person\"]")
    );
}
