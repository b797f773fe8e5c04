//! The dashboard in a real Chromium, and the metrics under the eyes of Prometheus' own tool.
//!
//! - `world`: a served memory, calls of an agent, a browser that is driven
//! - `metrics`: what `/metrics` says, what the rules and the dashboard of docs/operations name
//! - `drive.mjs`: what happens in the browser, one function a test; screenshots are left in
//!   `target/dashboard`
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod metrics;
mod world;

use memory_testkit::sqld;
use serde_json::json;
use world::World;

const HOSTILE: &str =
    r#"<img src=x onerror="alert(1)"><script>alert(2)</script><b id=injected>bold</b>"#;

#[test]
fn every_page_is_shown_light_dark_and_at_phone_width() {
    let Some(world) = World::with_samples() else { return };
    world.drive("pages", &json!({ "token": world.token }));
}

#[test]
fn without_samples_every_page_says_what_to_do_next() {
    let Some(world) = World::new(&[]) else { return };
    world.drive("empty", &json!({ "token": world.token }));
}

#[test]
fn a_token_that_is_not_known_is_refused_and_a_login_ends() {
    let Some(world) = World::with_samples() else { return };
    world.drive("login", &json!({ "token": world.token }));
}

#[test]
fn episodes_are_searched_filtered_paged_and_read_step_by_step() {
    let Some(world) = World::with_samples() else { return };
    for n in 0..30 {
        world.call("start_episode", &json!({ "task": format!("Water plant number {n}") }));
    }
    let long = "word ".repeat(2000);
    let started = world.call("start_episode", &json!({ "task": "Print a very long report" }));
    let step =
        json!([{ "tool": "bash", "action": "report", "observation": long, "success": true }]);
    world.call("log_steps", &json!({ "episode_id": started["episode_id"], "steps": step }));
    world.drive("search", &json!({ "token": world.token, "long": started["episode_id"] }));
}

#[test]
fn what_happens_meanwhile_is_shown_without_asking() {
    let Some(world) = World::with_samples() else { return };
    world.drive("live", &json!({ "token": world.token }));
}

/// Wherever text of an episode is shown, it stays text.
#[test]
fn an_episode_full_of_html_and_script_is_shown_as_text() {
    let Some(world) = World::new(&[]) else { return };
    let task = format!("Paint the fence {HOSTILE}");
    let started = world.call(
        "start_episode",
        &json!({
            "task": task, "task_type": HOSTILE, "context": { "domain": HOSTILE, "language": HOSTILE },
            "metadata": { "note": HOSTILE },
        }),
    );
    let id = &started["episode_id"];
    let step = |error: bool| {
        json!({
            "tool": HOSTILE, "action": format!("run {HOSTILE}"), "observation": HOSTILE,
            "parameters": { "html": HOSTILE }, "success": !error,
            "error": error.then_some(HOSTILE),
        })
    };
    let steps = json!([step(true), step(false), step(false)]);
    world.call("log_steps", &json!({ "episode_id": id, "steps": steps }));
    let lines = json!([HOSTILE]);
    world.call(
        "complete_episode",
        &json!({
            "episode_id": id, "outcome": "success", "verdict": HOSTILE,
            "reflection": { "worked": lines, "failed": lines, "next_time": lines },
        }),
    );
    world.drive("hostile", &json!({ "token": world.token, "id": id, "hostile": HOSTILE }));
}

#[test]
fn a_token_shows_its_projects_and_nothing_else() {
    let Some(world) = World::with_samples() else { return };
    let mine = world.create_token("mine", &["garden"]);
    world.call("start_episode", &json!({ "task": "Plant the roses", "project": "garden" }));
    let secret = "Bury the treasure under the oak";
    let other = world.call("start_episode", &json!({ "task": secret, "project": "island" }));
    let config = json!({ "token": mine, "secret": secret, "other": other["episode_id"] });
    world.drive("projects", &config);
}

#[test]
fn while_the_database_is_away_what_is_shown_is_marked() {
    let Some(mut server) = sqld::Server::start(sqld::Options::default()) else { return };
    let url = server.url();
    let Some(world) = World::new(&["--database", &url]) else { return };
    let started = world.call("start_episode", &json!({ "task": "Mind the harbour light" }));
    world.call(
        "complete_episode",
        &json!({ "episode_id": started["episode_id"], "outcome": "success" }),
    );
    let mut driven = world.start_driving("away", &json!({ "token": world.token }));
    driven.wait_for("shown");
    server.stop();
    driven.wait_for("marked");
    server.restart();
    driven.done();
}
