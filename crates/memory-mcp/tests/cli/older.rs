//! `migrate --from`: a database in the older layout, checked field by field.

use libsql::params;
use serde_json::{Value, json};

use crate::world::{World, text};

const EPISODES: usize = 10_000;

const CREATE: &str = "\
CREATE TABLE episodes (
    episode_id TEXT PRIMARY KEY NOT NULL, task_type TEXT NOT NULL, task_description TEXT NOT NULL,
    context TEXT NOT NULL, start_time INTEGER NOT NULL, end_time INTEGER, steps TEXT NOT NULL,
    outcome TEXT, reward TEXT, reflection TEXT, patterns TEXT NOT NULL,
    heuristics TEXT NOT NULL DEFAULT '[]', checkpoints TEXT NOT NULL DEFAULT '[]',
    metadata TEXT NOT NULL, domain TEXT NOT NULL, language TEXT, created_at INTEGER NOT NULL,
    archived_at INTEGER, flavour TEXT
)";

/// What quoting, encoding and nesting could break.
const TEXTS: [&str; 8] = [
    "plain",
    "it's \"quoted\" and `ticked`; DROP TABLE episodes; --",
    "zażółć gęślą jaźń 日本語 🦭👩‍👩‍👧",
    "back\\slash \\u0041 /slash",
    "line\nfeed\ttab\r\u{1}",
    "\u{202e}right to left\u{feff}",
    "{\"looks\": \"like json\"}",
    "",
];

fn id(n: usize) -> String {
    format!("9f1c2d3e-4b5a-4c6d-8e7f-{n:012x}")
}

/// The older program's episode number `n`, as it would write it.
fn older(n: usize) -> Value {
    let text = TEXTS[n % TEXTS.len()];
    let outcome = match n % 5 {
        0 => json!({"Success": {"verdict": format!("done {text}"), "artifacts": ["a.rs", text]}}),
        1 => {
            json!({"PartialSuccess": {"verdict": "half", "completed": ["x"], "failed": ["y", text]}})
        }
        2 => json!({"Failure": {"reason": format!("broke {text}"), "error_details": "line 42"}}),
        3 => {
            json!({"Abstained": {"reason": "no way", "stopped_at_step": 1, "infeasibility_signals": ["s"]}})
        }
        _ => Value::Null,
    };
    let result = match n % 3 {
        0 => json!({"Success": {"output": format!("ok {text}")}}),
        1 => json!({"Error": {"message": format!("no {text}")}}),
        _ => json!("Timeout"),
    };
    let mut metadata = json!({
        "text": text, "quote\"key'": "v", "ключ 🦭": "unicode key", "n": n, "big": u64::MAX,
        "real": 0.1, "yes": true, "nothing": null,
        "nested": {"a": [1, {"b": text, "c": null}], "d": {"e": {"f": -0.5}}}, "list": [1, "2", false],
    });
    if n.is_multiple_of(100) {
        metadata["long"] = "x🦭".repeat(1000).into();
        for k in 0..70 {
            metadata[format!("many {k}")] = k.into();
        }
    }
    let tags: Vec<&str> = ["a", text].into_iter().filter(|tag| !tag.trim().is_empty()).collect();
    json!({
        "task_type": "debugging",
        "task_description": format!("task {n}: {text}"),
        "context": {"language": if n.is_multiple_of(2) { json!("rust") } else { Value::Null }, "framework": "axum",
            "complexity": "Moderate", "domain": "web-api", "tags": tags},
        "start_time": 1_700_000_000 + n,
        "end_time": if n % 5 == 4 { Value::Null } else { json!(1_700_000_100 + n) },
        "steps": [
            {"step_number": 1, "timestamp": "2023-11-14T22:13:20.123456Z", "tool": "read_file",
             "action": format!("read {text}"), "parameters": {"path": text, "deep": [[1.50, {"k": null}]]},
             "result": result, "latency_ms": 12, "tokens_used": null, "metadata": {"who": text}},
            {"step_number": 2, "timestamp": "2023-11-14T22:13:21Z", "tool": "", "action": "think",
             "parameters": {}, "result": null, "latency_ms": 0, "tokens_used": 7, "metadata": {}},
        ],
        "outcome": outcome,
        "reward": {"total": 1.25, "base": 0.5, "efficiency": 1.5, "abstention_score": -0.25},
        "reflection": {"successes": ["good"], "improvements": [format!("better {text}")], "insights": ["i"],
            "generated_at": "2023-11-14T22:13:22Z"},
        "patterns": [id(n + 1)], "metadata": metadata, "flavour": format!("sour {text}"),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn make(path: &std::path::Path, episodes: usize) {
    let database = libsql::Builder::new_local(path).build().await.unwrap();
    let connection = database.connect().unwrap();
    connection.execute(CREATE, ()).await.unwrap();
    connection
        .execute("CREATE TABLE patterns (pattern_id TEXT, pattern_data TEXT)", ())
        .await
        .unwrap();
    connection.execute("INSERT INTO patterns VALUES ('p', '{}')", ()).await.unwrap();
    connection.execute("BEGIN", ()).await.unwrap();
    let insert = "INSERT INTO episodes (episode_id, task_type, task_description, context, start_time, \
        end_time, steps, outcome, reward, reflection, patterns, metadata, domain, language, created_at, \
        archived_at, flavour) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'web-api', NULL, 17, ?, ?)";
    for n in 0..episodes {
        let e = older(n);
        let json = |name: &str| (!e[name].is_null()).then(|| e[name].to_string());
        let archived = (n % 50 == 0).then_some(1_700_001_000_i64);
        let values = params![
            id(n),
            e["task_type"].as_str(),
            e["task_description"].as_str(),
            json("context"),
            e["start_time"].as_i64(),
            e["end_time"].as_i64(),
            json("steps"),
            json("outcome"),
            json("reward"),
            json("reflection"),
            json("patterns"),
            json("metadata"),
            archived,
            e["flavour"].as_str(),
        ];
        connection.execute(insert, values).await.unwrap();
    }
    connection.execute("COMMIT", ()).await.unwrap();
}

/// The value of a metadata key: there as itself, or as JSON, or in the step at the end.
fn kept(now: &Value, key: &str) -> Value {
    let value = &now["metadata"][key];
    if value.is_null() {
        let last = now["steps"].as_array().unwrap().last().unwrap();
        return last["parameters"][key].clone();
    }
    let listed = now["metadata"]["older.json"].as_str().unwrap_or("[]");
    let listed: Vec<String> = serde_json::from_str(listed).unwrap();
    match value.as_str() {
        Some(text) if listed.iter().any(|name| name == key) => serde_json::from_str(text).unwrap(),
        _ => value.clone(),
    }
}

fn compare(n: usize, now: &Value) {
    let was = older(n);
    let text = TEXTS[n % TEXTS.len()];
    assert_eq!(now["task_type"], was["task_type"]);
    assert_eq!(now["task_description"], was["task_description"]);
    let time = |value: &Value| value.as_str().unwrap().parse::<memory_core::Timestamp>().unwrap().0;
    assert_eq!(time(&now["started_at"]), was["start_time"].as_i64().unwrap() * 1_000_000);
    match was["end_time"].as_i64() {
        Some(end) => assert_eq!(time(&now["ended_at"]), end * 1_000_000),
        None => assert!(now["ended_at"].is_null() && now["outcome"].is_null()),
    }
    assert_eq!(now["archived_at"].is_null(), !n.is_multiple_of(50));
    let (context, old) = (&now["context"], &was["context"]);
    assert_eq!(context["language"], old["language"].as_str().unwrap_or(""));
    assert_eq!(context["domain"], old["domain"]);
    assert_eq!(context["framework"], old["framework"]);
    assert_eq!((&context["complexity"], &context["tags"]), (&"moderate".into(), &old["tags"]));
    for (step, old) in now["steps"].as_array().unwrap().iter().zip(was["steps"].as_array().unwrap())
    {
        for field in ["tool", "action", "parameters", "latency_ms"] {
            assert_eq!(step[field], old[field], "{field} of step of {n}");
        }
        assert_eq!(step["tokens"], old["tokens_used"]);
        let at = old["timestamp"].as_str().unwrap().parse::<memory_core::Timestamp>().unwrap().0;
        assert_eq!(time(&step["at"]), at);
    }
    let first = &now["steps"][0];
    match n % 3 {
        0 => assert_eq!(
            (&first["success"], &first["observation"]),
            (&true.into(), &format!("ok {text}").into())
        ),
        1 => assert_eq!(
            (&first["success"], &first["error"]),
            (&false.into(), &format!("no {text}").into())
        ),
        _ => assert_eq!((&first["success"], &first["error"]), (&false.into(), &"Timeout".into())),
    }
    if !text.is_empty() {
        assert_eq!(kept(now, "older.steps[1].metadata"), json!({"who": text}));
    }
    let outcome = &now["outcome"];
    match n % 5 {
        0 => {
            assert_eq!(
                (&outcome["kind"], &outcome["verdict"]),
                (&"success".into(), &format!("done {text}").into())
            );
            assert_eq!(
                kept(now, "older.outcome.artifacts"),
                was["outcome"]["Success"]["artifacts"]
            );
        }
        1 => {
            assert_eq!(
                (&outcome["kind"], &outcome["verdict"]),
                (&"partial".into(), &"half".into())
            );
            assert_eq!(kept(now, "older.outcome.completed"), json!(["x"]));
            assert_eq!(kept(now, "older.outcome.failed"), json!(["y", text]));
        }
        2 => {
            assert_eq!(
                (&outcome["kind"], &outcome["verdict"]),
                (&"failure".into(), &format!("broke {text}").into())
            );
            assert_eq!(kept(now, "older.outcome.error_details"), "line 42");
        }
        3 => {
            assert_eq!((&outcome["kind"], &outcome["at_step"]), (&"abstained".into(), &1.into()));
            assert_eq!(kept(now, "older.outcome.infeasibility_signals"), json!(["s"]));
        }
        _ => {}
    }
    assert_eq!(
        (&now["reward"]["score"], &now["reward"]["components"]),
        (&0.5.into(), &was["reward"])
    );
    let (reflection, old) = (&now["reflection"], &was["reflection"]);
    assert_eq!(reflection["worked"], old["successes"]);
    assert_eq!(reflection["failed"], old["improvements"]);
    assert_eq!(reflection["next_time"], old["insights"]);
    assert_eq!(kept(now, "older.reflection.generated_at"), old["generated_at"]);
    for (key, value) in was["metadata"].as_object().unwrap() {
        assert_eq!(&kept(now, key), value, "{key} of {n}");
    }
    assert_eq!(kept(now, "older.patterns"), was["patterns"]);
    assert_eq!(kept(now, "older.flavour"), was["flavour"]);
    assert_eq!(kept(now, "older.created_at"), 17);
}

#[test]
fn nothing_of_ten_thousand_older_episodes_is_lost() {
    let world = World::new();
    let file = world.path("old.db");
    make(&file, EPISODES);
    let before = std::fs::read(&file).unwrap();
    let dry = world.json(&["migrate", "--from", text(&file), "--dry-run"]);
    assert_eq!((&dry["read"], &dry["refused"]), (&EPISODES.into(), &0.into()));
    let went = world.json(&["migrate", "--from", text(&file)]);
    assert_eq!((&went["added"], &went["refused"]), (&EPISODES.into(), &0.into()), "{went}");
    assert_eq!(went["other_tables"], json!(["patterns (1 rows)"]));
    assert!(std::fs::read(&file).unwrap() == before, "the older file was changed");
    let exported = world.run(&["export", "--kind", "episode"]).done().stdout;
    let mut found = 0;
    for line in exported.lines() {
        let now: Value = serde_json::from_str(line).unwrap();
        let n = usize::from_str_radix(now["id"].as_str().unwrap().rsplit('-').next().unwrap(), 16)
            .unwrap();
        assert_eq!(now["id"], id(n));
        compare(n, &now);
        found += 1;
    }
    assert_eq!(found, EPISODES);
    let again = world.json(&["migrate", "--from", text(&file)]);
    assert_eq!(again["unchanged"], EPISODES);
}

#[test]
fn an_older_database_in_the_place_of_ours_is_refused_with_the_command_that_helps() {
    let world = World::new();
    let file = world.path("old.db");
    make(&file, 3);
    let refused = world.run(&["list", "--database", text(&file)]).failed(1);
    let command = format!("memory-mcp migrate --from {}", file.display());
    assert!(
        refused.stderr.contains("older layout") && refused.stderr.contains(&command),
        "{}",
        refused.stderr
    );
    let ours = World::new();
    ours.run(&["stats"]).done();
    let database = ours.path("data/memory.db");
    world.run(&["migrate", "--from", text(&database)]).failed(1).says("older layout");
    let note = world.write("note", "just a note");
    world.run(&["migrate", "--from", text(&note)]).failed(1).says("older layout");
    assert_eq!(world.run(&["migrate", "--from", text(&file), "--to", "1"]).code, Some(2));
}
