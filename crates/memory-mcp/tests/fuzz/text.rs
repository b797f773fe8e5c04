//! Text: files to be imported, conditions on metadata.

use memory_core::record::Record;
use memory_core::{Condition, Timestamp};
use memory_mcp::import::{ImportOptions, Importer, plan};
use memory_testkit::fuzz::fuzz;

use crate::{cases, episodes};

#[test]
fn conditions() {
    let corpus = [
        r#"repo = "api" AND attempts > 2"#,
        "green = true OR NOT (attempts <= 3 AND score >= 0.5)",
        r#"path != 'it''s' AND EXISTS repo AND branch = "a\"b""#,
        "repo IN (\"a\", \"b\") AND size < -1.5e3",
        "((((a = 1))))",
    ];
    let corpus = corpus.map(|text| text.as_bytes().to_vec()).to_vec();
    fuzz("conditions", &cases("conditions"), corpus, |input| {
        let text = String::from_utf8_lossy(input);
        match text.parse::<Condition>() {
            Ok(condition) => {
                // What is read can be asked of anything.
                let episode = &episodes()[4];
                let matches = condition.matches(&episode.metadata);
                format!("read, {:?}, {matches}", condition.validate().map_err(|e| e.to_string()))
            }
            Err(e) => e.to_string(),
        }
    });
}

/// One sample of each format.
fn samples() -> Vec<Vec<u8>> {
    let export = episodes().into_iter().map(|e| Record::Episode(Box::new(e)).to_line().unwrap());
    let export = export.collect::<Vec<_>>().join("\n");
    let run = r#"{"task_id":1,"reward":1.0,"info":{"task":{"instruction":"t"}},"traj":[{"role":"user","content":"go"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c","content":"ok"}],"trial":0}"#;
    [
        export,
        format!("[{run},\n{run}]"),
        format!(r#"{{"0":{run},"1":{run}}}"#),
        r#"{"0":{"query":"q","turn_history":{"actions":["a"],"observations":["o"],"rewards":[1]}}}"#
            .into(),
        r#"{"history":[{"role":"user","content":"q"},{"role":"assistant","content":"a","action":"ls"}],"info":{"exit_status":"submitted"},"trajectory":[{"action":"ls","observation":"x"}]}"#
            .into(),
        concat!(
            r#"{"type":"user","sessionId":"s","uuid":"u","timestamp":"2026-01-01T00:00:00Z","message":{"role":"user","content":"hi"}}"#,
            "\n",
            r#"{"type":"assistant","sessionId":"s","uuid":"v","parentUuid":"u","message":{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"Bash","input":{"command":"ls"}}]}}"#,
            "\n",
            r#"{"type":"user","sessionId":"s","uuid":"w","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"}]}}"#,
        )
        .into(),
        concat!(
            r#"{"type":"entity","name":"n","entityType":"t","observations":["o"]}"#,
            "\n",
            r#"{"type":"relation","from":"n","to":"n","relationType":"is"}"#,
        )
        .into(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

#[test]
fn importers() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    fuzz("importers", &cases("importers"), samples(), |input| {
        std::fs::write(&file, input).unwrap();
        let options = ImportOptions { project: "fuzz".into(), default_time: Timestamp(1) };
        let planned = match plan(std::slice::from_ref(&file)) {
            Ok(planned) => planned,
            Err(e) => return format!("no plan: {e}"),
        };
        let (mut read, mut said) = (0, String::new());
        for item in Importer::new(planned, options) {
            match item {
                Ok(memory_mcp::import::ImportItem::Episode(episode)) => {
                    episode.validate().unwrap();
                    read += 1;
                }
                Ok(memory_mcp::import::ImportItem::Record(_)) => read += 1,
                Err(malformed) => said = malformed.problem,
            }
        }
        format!("{} {said}", read > 0)
    });
}
