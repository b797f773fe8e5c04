//! Sessions recorded by hooks: a client's events as JSON on stdin of real processes, in order.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use memory_testkit::sqld::{Options, Server};
use serde_json::{Value, json};

use crate::session::Session;
use crate::world::{Ran, World, text};

/// A client that runs our hooks.
pub(crate) struct Client<'w> {
    pub(crate) world: &'w World,
    pub(crate) session: String,
    /// Settings of every hook.
    pub(crate) settings: Vec<String>,
}

impl<'w> Client<'w> {
    /// In a repository `shop` of this world.
    pub(crate) fn new(world: &'w World, session: &str) -> Self {
        std::fs::create_dir_all(world.path("shop/.git")).unwrap();
        Client { world, session: session.into(), settings: Vec::new() }
    }

    fn database(mut self, url: &str) -> Self {
        self.settings = vec!["--database".into(), url.into()];
        self
    }

    pub(crate) fn transcript(&self) -> std::path::PathBuf {
        self.world.path(&format!("{}.jsonl", self.session))
    }

    /// Runs one hook. Whatever happens it must end with 0 and say nothing but its answer.
    pub(crate) fn hook(&self, event: &str, mut input: Value) -> Option<Value> {
        let fields = input.as_object_mut().unwrap();
        fields.insert("session_id".into(), self.session.clone().into());
        fields.insert("cwd".into(), text(&self.world.path("shop")).into());
        fields.insert("transcript_path".into(), text(&self.transcript()).into());
        fields.insert("hook_event_name".into(), "whatever".into());
        let ran = feed(self.world, event, input.to_string().as_bytes(), &self.settings, &[]);
        (!ran.stdout.is_empty()).then(|| serde_json::from_str(&ran.stdout).unwrap())
    }

    fn tool(&self, tool: &str, input: Value, response: Value) {
        let input = json!({ "tool_name": tool, "tool_input": input, "tool_response": response });
        assert_eq!(self.hook("post-tool-use", input), None);
    }

    fn fails(&self, command: &str, error: &str) {
        let input =
            json!({ "tool_name": "Bash", "tool_input": { "command": command }, "error": error });
        assert_eq!(self.hook("post-tool-use-failure", input), None);
    }

    fn starts(&self) -> String {
        let answer = self.hook("session-start", json!({ "source": "startup" }));
        context(answer.as_ref(), "SessionStart")
    }

    /// A coding session: a failing test, a look, a failing fix, a fix, tests that pass.
    pub(crate) fn works(&self, task: &str) {
        self.hook("user-prompt-submit", json!({ "prompt": task }));
        self.fails(
            "cargo test login",
            "Exit code 101\nerror[E0433]: failed to resolve: use of `Clock`",
        );
        let read = json!({ "type": "text", "file": { "content": "pub mod clock;" } });
        self.tool("Read", json!({ "file_path": "src/lib.rs" }), read);
        self.tool(
            "Edit",
            json!({ "file_path": "src/login.rs", "old_string": "a", "new_string": "use crate::clock::Clock;" }),
            json!({ "filePath": "src/login.rs" }),
        );
        self.tool(
            "Bash",
            json!({ "command": "cargo test login" }),
            json!({ "stdout": "test result: ok. 3 passed; 0 failed", "stderr": "" }),
        );
        self.hook("stop", json!({ "last_assistant_message": "The import was missing." }));
    }

    fn ends(&self) {
        assert_eq!(self.hook("session-end", json!({ "reason": "prompt_input_exit" })), None);
    }
}

/// Runs a hook on these bytes. It must end with 0, with nothing on stderr.
fn feed(
    world: &World,
    event: &str,
    input: &[u8],
    settings: &[String],
    variables: &[(&str, &str)],
) -> Ran {
    let mut command = world.command(&["hook", event]);
    // Far more than a hook has: this machine may be busy, and what is tested is not its speed.
    command.args(["--set", "hooks.deadline_ms=60000"]).args(settings);
    command.envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that does not want its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let ran = Ran::of(&child.wait_with_output().unwrap()).done();
    assert_eq!(ran.stderr, "");
    ran
}

fn context(answer: Option<&Value>, event: &str) -> String {
    let Some(answer) = answer else { return String::new() };
    let told = &answer["hookSpecificOutput"];
    assert_eq!(told["hookEventName"], event);
    told["additionalContext"].as_str().unwrap().to_owned()
}

fn log(world: &World) -> String {
    std::fs::read_to_string(world.path("data/hooks.log")).unwrap_or_default()
}

fn journals(world: &World) -> usize {
    std::fs::read_dir(world.path("data/hooks"))
        .map_or(0, |entries| entries.flatten().filter(|e| e.path().is_file()).count())
}

const TASK: &str = "Fix the failing login test";

#[test]
fn a_session_is_one_episode_with_its_steps_outcome_and_lesson_and_the_next_is_told() {
    let world = World::new();
    let client = Client::new(&world, "first");
    assert_eq!(client.starts(), "", "there is nothing to tell yet");
    client.works(TASK);
    assert_eq!(client.starts(), "", "a session is not told of itself");
    client.ends();
    assert_eq!(log(&world), "");
    assert_eq!(journals(&world), 0, "an episode needs no journal");

    let id = world.id_of(TASK);
    let shown = world.json(&["show", &id]);
    let episode = &shown["episode"];
    let steps: Vec<(&str, &str)> = episode["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["tool"].as_str().unwrap(), step["action"].as_str().unwrap()))
        .collect();
    assert_eq!(
        steps,
        [
            ("Bash", "cargo test login"),
            ("Read", "Read(file_path=src/lib.rs)"),
            (
                "Edit",
                "Edit(file_path=src/login.rs, old_string=a, new_string=use crate::clock::Clock;)"
            ),
            ("Bash", "cargo test login"),
            ("", "The import was missing."),
        ]
    );
    let failed = &episode["steps"][0];
    let error = "error[E0433]: failed to resolve: use of `Clock`";
    assert_eq!((&failed["success"], &failed["error"]), (&false.into(), &error.into()));
    assert_eq!(episode["outcome"]["kind"], "success");
    let verdict = episode["outcome"]["verdict"].as_str().unwrap();
    assert!(verdict.contains("the tests passed at the end, after a change"), "{verdict}");
    assert_eq!(episode["metadata"]["recorded_from"], "hooks");
    assert_eq!(episode["metadata"]["project_root"], text(&world.path("shop")));
    let lessons = shown["lessons"].as_array().unwrap();
    let recovery = lessons.iter().find(|l| l["lesson_kind"] == "error_recovery").unwrap();

    let told = Client::new(&world, "second").starts();
    for said in [TASK, "success", &id, recovery["condition"].as_str().unwrap()] {
        assert!(told.contains(said), "{said:?} is not in {told}");
    }
    let prompt = json!({ "prompt": "the login test fails again" });
    let answer = Client::new(&world, "second").hook("user-prompt-submit", prompt);
    let recalled = context(answer.as_ref(), "UserPromptSubmit");
    assert!(recalled.contains(TASK), "{recalled}");
    let elsewhere = Client::new(&world, "third");
    std::fs::create_dir_all(world.path("other/.git")).unwrap();
    let start =
        json!({ "session_id": "third", "cwd": text(&world.path("other")), "source": "startup" });
    let ran = feed(&world, "session-start", start.to_string().as_bytes(), &elsewhere.settings, &[]);
    assert_eq!(ran.stdout, "", "another repository without a project name is not told");
}

#[test]
fn the_transcript_of_a_recorded_session_is_the_same_episode() {
    let world = World::new();
    let client = Client::new(&world, "5f1c");
    client.starts();
    client.works(TASK);
    let line = |kind: &str, n: u8, content: Value| {
        json!({
            "type": kind, "uuid": format!("u{n}"), "sessionId": "5f1c", "cwd": "/x",
            "timestamp": format!("2026-03-01T12:00:{n:02}Z"), "message": { "content": content },
        })
    };
    let use_of = |id: &str, command: &str| json!([{ "type": "tool_use", "id": id, "name": "Bash", "input": { "command": command } }]);
    let transcript = [
        line("user", 1, TASK.into()),
        line("assistant", 2, json!([{ "type": "text", "text": "I look first." }])),
        line("assistant", 3, use_of("t1", "ls")),
        line("user", 4, json!([{ "type": "tool_result", "tool_use_id": "t1", "content": "src" }])),
    ];
    std::fs::write(client.transcript(), crate::world::lines(&transcript)).unwrap();
    client.ends();
    let id = world.id_of(TASK);
    let steps = |world: &World| {
        let shown = world.json(&["show", &id]);
        shown["episode"]["steps"].as_array().unwrap().len()
    };
    assert_eq!(steps(&world), 5, "a hook does not read transcripts");
    assert_eq!(journals(&world), 1, "the transcript is left to be read");
    world.json(&["rate", "last", "good"]);
    // Any import reads it along; what a user said stays.
    let total = world.json(&["import", text(&client.transcript())])["total"].clone();
    assert_eq!((&total["unchanged"], &total["added"]), (&1.into(), &0.into()), "{total}");
    assert_eq!((steps(&world), journals(&world)), (2, 0));
    let episode = world.json(&["show", &id])["episode"].clone();
    assert_eq!(episode["outcome"]["kind"], "success");
    assert_eq!(episode["reward"]["source"], "user");
    assert_eq!(episode["metadata"]["recorded_from"], "transcript");
    assert_eq!(world.json(&["list"])["episodes"].as_array().unwrap().len(), 1);
}

#[test]
fn a_resumed_session_goes_on_in_its_episode() {
    let world = World::new();
    let client = Client::new(&world, "again");
    client.starts();
    client.works(TASK);
    client.ends();
    client.hook("session-start", json!({ "source": "resume" }));
    client.hook("user-prompt-submit", json!({ "prompt": "No, that's wrong" }));
    client.ends();
    let id = world.id_of(TASK);
    let episode = world.json(&["show", &id])["episode"].clone();
    let steps = episode["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 6, "{steps:#?}");
    assert_eq!(steps[5]["action"], "User: No, that's wrong");
    assert_eq!((&steps[5]["number"], &episode["outcome"]["kind"]), (&6.into(), &"failure".into()));
}

#[test]
fn a_transcript_that_is_gone_takes_nothing_of_a_resumed_session_along() {
    let world = World::new();
    let client = Client::new(&world, "gone");
    client.starts();
    client.works(TASK);
    client.ends();
    client.hook("session-start", json!({ "source": "resume" }));
    client.hook("user-prompt-submit", json!({ "prompt": "No, that's wrong" }));
    // Left to be read by a process that has time; the client clears it away before.
    std::fs::write(client.transcript(), "{}\n").unwrap();
    client.ends();
    assert_eq!(journals(&world), 1);
    std::fs::remove_file(client.transcript()).unwrap();
    let id = world.id_of(TASK);
    let before = world.json(&["show", &id])["episode"].clone();
    let other = world.write(
        "other.jsonl",
        &crate::world::lines(&[crate::world::episode(1, "Paint the fence", "success")]),
    );
    world.run(&["import", text(&other)]).done();
    assert_eq!(world.json(&["show", &id])["episode"], before);
    assert_eq!((before["steps"].as_array().unwrap().len(), journals(&world)), (6, 0));
}

#[test]
fn of_sessions_side_by_side_the_one_that_ended_last_is_rated() {
    let world = World::new();
    let (long, short) = (Client::new(&world, "long"), Client::new(&world, "short"));
    for (client, task) in [(&long, "Move the login page"), (&short, "Sort the imports")] {
        client.hook("session-start", json!({ "source": "startup" }));
        client.hook("user-prompt-submit", json!({ "prompt": task }));
        client.tool("Bash", json!({ "command": "ls" }), json!({ "stdout": "src" }));
    }
    short.ends();
    long.ends();
    world.run(&["rate", "last", "bad"]).done();
    let outcome = |task: &str| {
        world.json(&["show", &world.id_of(task)])["episode"]["outcome"]["kind"].clone()
    };
    assert_eq!(outcome("Move the login page"), "failure");
    assert_eq!(outcome("Sort the imports"), "unjudged");
}

#[test]
fn a_rating_judges_an_unjudged_session_and_moves_its_lessons() {
    let world = World::new();
    let client = Client::new(&world, "rated");
    client.hook("session-start", json!({ "source": "startup" }));
    client.hook("user-prompt-submit", json!({ "prompt": TASK }));
    client.fails("npm run build", "Exit code 1\nerror TS2304: Cannot find name 'Clock'");
    client.tool(
        "Read",
        json!({ "file_path": "src/login.ts" }),
        json!({ "content": "new Clock()" }),
    );
    client.tool("Edit", json!({ "file_path": "src/login.ts" }), json!({ "filePath": "x" }));
    client.tool("Bash", json!({ "command": "npm run build" }), json!({ "stdout": "done" }));
    client.ends();
    let id = world.id_of(TASK);
    let stats = |world: &World| {
        let shown = world.json(&["show", &id]);
        let lessons = shown["lessons"].as_array().unwrap().clone();
        let sum =
            |key: &str| lessons.iter().map(|l| l["stats"][key].as_u64().unwrap()).sum::<u64>();
        (
            shown["episode"]["outcome"]["kind"].as_str().unwrap().to_owned(),
            sum("uses"),
            sum("successes"),
        )
    };
    assert_eq!(stats(&world).0, "unjudged");
    world.run(&["rate", "last", "good", "it", "builds"]).done();
    let (outcome, uses, successes) = stats(&world);
    assert!(outcome == "success" && uses > 0 && successes == uses, "{outcome} {successes}/{uses}");
    assert_eq!(world.json(&["show", &id])["episode"]["outcome"]["verdict"], "it builds");
    world.run(&["rate", &id, "bad"]).done();
    let (outcome, uses, successes) = stats(&world);
    assert!(outcome == "failure" && uses > 0 && successes == 0, "{outcome} {successes}/{uses}");
    world.run(&["rate", "0198c0de-7a3b-7c11-9e02-5d1f2a3b4c00", "good"]).failed(3);
    World::new().run(&["rate", "last", "good"]).failed(3).says("no episode has ended yet");
}

#[test]
fn nothing_on_stdin_breaks_the_agent() {
    let world = World::new();
    let huge = vec![b'x'; 70 << 20];
    let deep = "[".repeat(100_000);
    let odd = [b"".as_slice(), b"{", b"null", b"\xff\xfe\x00", deep.as_bytes(), &huge];
    for input in odd {
        assert_eq!(feed(&world, "post-tool-use", input, &[], &[]).stdout, "");
    }
    assert_eq!(journals(&world), 0);
    assert!(log(&world).contains("stdin"), "{}", log(&world));
    let event = json!({ "session_id": "s", "prompt": "x" }).to_string();
    feed(&world, "event-of-tomorrow", event.as_bytes(), &[], &[]);
    assert!(log(&world).contains("no event that is recorded"));
    // A client takes exit code 2 for an order to stop the agent.
    world.run(&["hook", "stop", "--no-such-flag"]).done();
    world.run(&["hook", "stop", "--set", "no.such=setting"]).done();
    let file = world.write("settings.toml", "nonsense = [");
    world.run(&["hook", "stop", "--config", text(&file)]).done();
    // A data directory that cannot be written.
    let file = world.write("file", "");
    feed(
        &world,
        "user-prompt-submit",
        event.as_bytes(),
        &["--data-dir".into(), text(&file).into()],
        &[],
    );
}

#[test]
fn recording_is_turned_off_by_environment_setting_and_project() {
    let world = World::new();
    let client = Client::new(&world, "off");
    let prompt = json!({ "session_id": "off", "cwd": text(&world.path("shop")), "prompt": TASK });
    let prompt = prompt.to_string();
    let feed = |settings: &[String], variables: &[(&str, &str)]| {
        feed(&world, "user-prompt-submit", prompt.as_bytes(), settings, variables);
        journals(&world)
    };
    assert_eq!(feed(&[], &[("MEMORY_MCP_HOOKS", "off")]), 0);
    assert_eq!(feed(&["--set".into(), "hooks.enabled=false".into()], &[]), 0);
    let file = client.world.path("shop/.memory-mcp.toml");
    std::fs::write(&file, "hooks = false\n").unwrap();
    assert_eq!(feed(&[], &[]), 0);
    assert!(!world.path("data/hooks").exists());
    std::fs::write(&file, "project = 'shop'\n").unwrap();
    assert_eq!(feed(&[], &[]), 1);
    client.ends();
    assert_eq!(world.json(&["list", "--project", "shop"])["episodes"][0]["project"], "shop");
}

#[test]
fn with_a_remote_database_no_hook_opens_a_connection() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::new(&world, "remote").database(&url);
    client.starts();
    client.works(TASK);
    client.ends();
    let told = Client::new(&world, "next").database(&url).starts();
    assert!(told.contains(TASK), "{told}");
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(log(&world), "");
}

#[test]
fn what_hooks_left_for_a_server_is_delivered_and_told_to_the_next_session() {
    let Some(server) = Server::start(Options::default()) else { return };
    let world = World::new();
    let url = server.url();
    let client = Client::new(&world, "remote").database(&url);
    client.starts();
    client.works(TASK);
    client.ends();
    assert_eq!(journals(&world), 1);
    let rated = world.json(&["rate", "last", "good", "--database", &url]);
    assert_eq!((&rated["outcome"], journals(&world)), (&"success".into(), 0));
    // A client's server draws what the next session is told.
    let serve = Session::start_in(&world, &["--database", &url], &world.path("shop"));
    let kept = world.path("data/hooks/context");
    let is_kept = || {
        std::fs::read_dir(&kept).is_ok_and(|mut files| {
            files.any(|f| f.unwrap().path().extension().is_some_and(|e| e == "json"))
        })
    };
    for _ in 0..600 {
        if is_kept() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let told = Client::new(&world, "next").database(&url).starts();
    serve.end();
    assert!(told.contains(TASK) && told.contains("Lessons:"), "{told}");
}

#[test]
fn a_purged_session_leaves_no_journal() {
    let world = World::new();
    let client = Client::new(&world, "gone");
    client.starts();
    client.works("a task with the word zanzibar");
    std::fs::write(client.transcript(), "{}\n").unwrap();
    client.ends();
    assert_eq!(journals(&world), 1, "the transcript is left to be read");
    let id = world.id_of("a task with the word zanzibar");
    world.run(&["forget", "--purge", "--yes", &id]).done();
    assert_eq!(journals(&world), 0);
    assert!(!holds(&world.path("data"), b"zanzibar"));
}

/// True when any file below `dir` holds these bytes.
pub(crate) fn holds(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            return holds(&path, bytes);
        }
        let content = std::fs::read(&path).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}
