//! Tokens and certificates, from the settings down to the server.

use memory_testkit::proxy::FaultProxy;
use memory_testkit::sqld::{Options, Rights, Server, TokenKey};
use serde_json::json;

use crate::session::Session;
use crate::world::{World, text};

#[test]
fn a_running_server_takes_up_a_replaced_token_over_tls_and_shows_neither() {
    let key = TokenKey::generate();
    let options = Options { key: Some(key.clone()), ..Options::default() };
    let Some(server) = Server::start(options) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = runtime.block_on(FaultProxy::start_tls(server.address()));
    let stranger = runtime.block_on(FaultProxy::start_tls(server.address()));
    let world = World::new();
    let (url, good, expired) = (proxy.url(), key.token(Rights::Full), key.token(Rights::Expired));
    let token = world.write("token", &good);
    let authority = world.write("ca.pem", proxy.ca_pem().unwrap());
    let token_setting = format!("database.auth_token_file={}", text(&token));
    let authority_setting = format!("remote.ca_file={}", text(&authority));
    let settings = [
        "--database",
        &url,
        "--set",
        &token_setting,
        "--set",
        &authority_setting,
        "--log",
        "trace",
    ];

    let mut session = Session::start(&world, &settings);
    let mut start = |task: &str| {
        let arguments = json!({ "task": task, "recall_budget_tokens": 0 });
        session.call("start_episode", &arguments)
    };
    let first = start("with the first token");
    assert!(first["isError"] != true, "{first}");
    std::fs::write(&token, &expired).unwrap();
    let refused = start("with an expired one");
    assert_eq!(refused["isError"], true, "{refused}");
    let said = refused["content"][0]["text"].as_str().unwrap();
    assert!(said.contains("refused the token"), "{said}");
    std::fs::write(&token, &good).unwrap();
    let again = start("with another");
    assert!(again["isError"] != true, "{again}");
    let logged = session.end();
    assert!(logged.contains("TRACE"), "the log is on: {logged}");
    for secret in [&good, &expired] {
        let signature = secret.rsplit('.').next().unwrap();
        assert!(!logged.contains(signature) && !said.contains(signature), "{logged}");
    }
    let listed = world.json(&[&["list", "--outcome", "running"][..], &settings[..6]].concat());
    let mut tasks: Vec<_> = listed["episodes"].as_array().unwrap().iter().collect();
    tasks.sort_by_key(|e| e["task_description"].as_str().unwrap().to_owned());
    let tasks: Vec<_> = tasks.iter().map(|e| &e["task_description"]).collect();
    assert_eq!(tasks, ["with another", "with the first token"]);
    assert!(proxy.counts().handshakes > 0);

    // Neither an authority of somebody else nor the system's vouch for this server.
    std::fs::write(&authority, stranger.ca_pem().unwrap()).unwrap();
    let before = proxy.counts().requests;
    world.run(&[&["stats"][..], &settings[..6]].concat()).failed(1).says("certificate");
    world.run(&[&["stats"][..], &settings[..4]].concat()).failed(1).says("certificate");
    assert_eq!(proxy.counts().requests, before, "nothing was sent to a stranger");
}
