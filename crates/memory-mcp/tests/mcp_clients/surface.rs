//! Pages, resources, prompts, completion, and errors of them.

use serde_json::{Value, json};

use crate::session::{Client, Over, Session, World};

/// More than a page of resources.
const EPISODES: usize = 60;

const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

pub(crate) fn offers_what_a_user_picks(client: &Client, over: Over) {
    let world = World::new(Vec::new());
    let mut session = Session::open(client, &world, over);
    let mut ids: Vec<String> = (0..EPISODES).map(|n| start(&mut session, n)).collect();
    let last = ids.last().unwrap().clone();
    session.call("complete_episode", &json!({ "episode_id": last, "outcome": "success" })).done();
    // Newest first.
    ids.reverse();
    assert_eq!(pages_of_a_tool(&mut session), ids);

    let listed = session.run(&json!({ "do": "list", "what": "resources" }));
    let uris = names(&listed);
    assert_eq!(uris[0], "playbook://painting%20doors");
    let episodes: Vec<String> = ids.iter().map(|id| format!("episode://{id}")).collect();
    assert_eq!(uris[1..], episodes);
    let templates = session.run(&json!({ "do": "list", "what": "templates" }));
    assert_eq!(names(&templates), ["episode://{episode_id}", "playbook://{task_type}"]);
    let prompts = session.run(&json!({ "do": "list", "what": "prompts" }));
    assert_eq!(names(&prompts), ["start_task", "reflect"]);

    let mut said = |command: Value| {
        let answer = session.run(&command);
        answer["text"].as_str().unwrap_or_else(|| panic!("{command}: {answer}")).to_owned()
    };
    let episode = said(json!({ "do": "read", "uri": uris[1] }));
    assert!(episode.contains(&last) && episode.contains("door number 59"), "{episode}");
    let playbook = said(json!({ "do": "read", "uri": uris[0] }));
    assert!(playbook.contains("1 runs, 1 went well"), "{playbook}");
    let task = json!({ "task": "Paint door number 59 again", "task_type": "painting doors" });
    let begun = said(json!({ "do": "prompt", "name": "start_task", "arguments": task }));
    for words in ["Paint door number 59 again", "start_episode", &last] {
        assert!(begun.contains(words), "{words}: {begun}");
    }
    let over = json!({ "episode_id": ids[1] });
    let reflection = said(json!({ "do": "prompt", "name": "reflect", "arguments": over }));
    assert!(reflection.contains("door number 58") && reflection.contains("complete_episode"));

    completes(&mut session, &ids);
    refuses(&mut session);
    session.close();
}

fn start(session: &mut Session, n: usize) -> String {
    let arguments = json!({
        "task": format!("Paint door number {n}"),
        "task_type": "painting doors",
        "recall_budget_tokens": 0,
    });
    let started = session.call("start_episode", &arguments).structured;
    started["episode_id"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned()
}

/// The ids in all pages of `list_episodes`.
fn pages_of_a_tool(session: &mut Session) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = session.call("list_episodes", &json!({ "limit": 25, "cursor": cursor }));
        let episodes = page.structured["episodes"].as_array().unwrap();
        ids.extend(episodes.iter().map(|row| row["episode_id"].as_str().unwrap().to_owned()));
        cursor = page.structured["next_cursor"].clone();
        if cursor.is_null() {
            return ids;
        }
    }
}

fn names(list: &Value) -> Vec<String> {
    let names = list["names"].as_array().unwrap_or_else(|| panic!("{list}"));
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn completes(session: &mut Session, ids: &[String]) {
    let mut values = |reference: (&str, &str), argument: &str, value: &str| {
        let mut command = json!({ "do": "complete", "argument": argument, "value": value });
        command[reference.0] = reference.1.into();
        let answer = session.run(&command)["values"].take();
        serde_json::from_value::<Vec<String>>(answer).unwrap()
    };
    let playbook = ("resource", "playbook://{task_type}");
    assert_eq!(values(playbook, "task_type", "pain"), ["painting doors"]);
    assert!(values(playbook, "task_type", "sql").is_empty());
    assert_eq!(values(("prompt", "start_task"), "task_type", ""), ["painting doors"]);
    assert_eq!(values(("prompt", "start_task"), "project", "d"), ["default"]);
    let found = values(("prompt", "reflect"), "episode_id", &ids[0]);
    assert_eq!(found, ids[..1]);
    assert_eq!(values(("resource", "episode://{episode_id}"), "episode_id", "").len(), 50);
}

/// Errors are of the protocol where there is no result that could carry them.
fn refuses(session: &mut Session) {
    for (command, words) in [
        (json!({ "do": "read", "uri": format!("episode://{UNKNOWN}") }), UNKNOWN),
        (json!({ "do": "read", "uri": "file:///etc/passwd" }), "neither episode://ID"),
        (json!({ "do": "read", "uri": "playbook://sql" }), "no judged episode"),
        (json!({ "do": "prompt", "name": "no_such", "arguments": {} }), "start_task, reflect"),
        (json!({ "do": "prompt", "name": "reflect", "arguments": {} }), "episode_id: is missing"),
        (
            json!({ "do": "complete", "prompt": "reflect", "argument": "x", "value": "" }),
            "nothing to complete",
        ),
    ] {
        let error = session.run(&command)["error"].take();
        assert!(error["message"].as_str().is_some_and(|m| m.contains(words)), "{command}: {error}");
        assert!([-32602, -32002].contains(&error["code"].as_i64().unwrap()), "{command}: {error}");
    }
    let unknown = session.call("list_episodes", &json!({ "cursor": "forged" }));
    assert!(unknown.is_error && unknown.text.contains("cursor: is not from"), "{unknown:?}");
}
