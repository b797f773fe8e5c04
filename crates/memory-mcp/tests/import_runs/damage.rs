//! Damaged, hostile and oversized input: reported with its line, skipped, and the rest goes in.

use std::fs;
use std::os::unix::fs::symlink;

use memory_core::MetadataValue;
use memory_core::episode::limits::{MAX_EPISODE_BYTES, MAX_STEPS};
use memory_mcp::import::plan;
use serde_json::json;

use super::{import, import_text};

fn run(n: usize, observation: &str) -> String {
    json!({"task_id": n, "reward": 1.0, "info": {"task": {"instruction": format!("task {n}")}},
           "traj": [{"role": "user", "content": "go"},
                    {"role": "assistant", "content": null, "tool_calls": [
                        {"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
                    {"role": "tool", "tool_call_id": "c", "content": observation}],
           "trial": 0})
    .to_string()
}

fn runs(n: usize) -> Vec<String> {
    (0..n).map(|i| run(i, "ok")).collect()
}

#[test]
fn a_malformed_record_in_the_middle_costs_only_itself() {
    let breakages: [(&str, &str); 8] = [
        ("\"reward\":1.0", "\"reward\":tru"),
        ("\"reward\":1.0", "\"reward\":1.0,"),
        ("\"traj\":[", "\"traj\":"),
        ("\"trial\":0}", "\"trial\":0}}"),
        ("\"trial\":0}", "\"trial\":0"),
        ("\"instruction\":\"task 2\"", "\"instruction\":\"task 2"),
        ("\"instruction\":\"task 2\"", "\"instruction\":task 2\""),
        ("\"go\"", "\"g\u{1}o\""),
    ];
    for separator in [",\n", ", "] {
        for (whole, broken) in breakages {
            let mut records = runs(5);
            assert!(records[2].contains(whole), "{whole}");
            records[2] = records[2].replacen(whole, broken, 1);
            let array = import_text(&format!("[{}]", records.join(separator)));
            let ids =
                import_text(&format!("[{}]", [&runs(5)[..2], &runs(5)[3..]].concat().join(",")))
                    .ids();
            assert!(array.ids().is_superset(&ids), "{broken} in {:#?}", array.malformed);
            assert!(!array.malformed.is_empty(), "{broken} was taken");
            let line = if separator == ",\n" { 3..=4 } else { 1..=1 };
            assert!(line.contains(&array.malformed[0].line), "{broken}: {:#?}", array.malformed);
        }
    }
}

#[test]
fn a_malformed_record_in_an_object_of_records_costs_only_itself() {
    for (whole, broken) in
        [("\"traj\":[", "\"traj\":"), ("\"trial\":0}", "\"trial\":0"), ("\"go\"", "\"go")]
    {
        let mut records = runs(5);
        records[2] = records[2].replacen(whole, broken, 1);
        let text: Vec<String> =
            records.iter().enumerate().map(|(i, r)| format!("\"k{i}\": {r}")).collect();
        let imported = import_text(&format!("{{{}}}", text.join(",\n")));
        assert_eq!(imported.episodes.len(), 4, "{broken}: {:#?}", imported.malformed);
    }
}

#[test]
fn every_cut_of_a_file_gives_the_whole_records_before_it_and_one_report() {
    let text = format!("[\n{}\n]\n", runs(4).join(",\n"));
    let whole = import_text(&text);
    let last_bracket = text.rfind(']').unwrap();
    for cut in (text.find("\"traj\":").unwrap() + 8..last_bracket).step_by(7) {
        let part = &text[..cut];
        let imported = import_text(part);
        let complete = part.matches("\"trial\":0}").count();
        assert_eq!(imported.names(), {
            let mut before = import_text(&text);
            before.episodes.truncate(complete);
            before.names()
        });
        assert_eq!(imported.malformed.len(), 1, "cut at {cut}: {:#?}", imported.malformed);
        assert_eq!(imported.malformed[0].line, part.matches('\n').count() as u64 + 1);
    }
    assert_eq!(whole.malformed, []);
}

#[test]
fn nul_is_written_visibly_and_said() {
    let imported = import_text(&format!("[{}]", run(0, "a\0b\0")));
    let episode = &imported.episodes[0];
    assert_eq!(episode.steps[1].observation, "a\\0b\\0");
    assert_eq!(episode.metadata["import_nul_escaped"], MetadataValue::Integer(2));
}

#[test]
fn long_texts_are_cut_with_a_note_and_many_of_them_still_fit_one_episode() {
    let long = "é".repeat(1_000_000);
    let imported = import_text(&format!("[{}]", run(0, &long)));
    let step = &imported.episodes[0].steps[1];
    let kept = step.observation.split("\n[cut: ").next().unwrap();
    assert!(long.starts_with(kept) && kept.len() > 1_000_000);
    let note = format!("\n[cut: 2000000 bytes in the source, the first {} kept]", kept.len());
    assert!(step.observation.ends_with(&note));
    assert_eq!(imported.episodes[0].metadata["import_texts_cut"], MetadataValue::Integer(1));

    let turns: Vec<String> = (0..40).map(|i| format!("{i} {}", "x".repeat(500_000))).collect();
    let run = json!([{"query": "q", "turn_history": {"actions": turns, "observations": turns}}]);
    let imported = import_text(&run.to_string());
    assert_eq!(imported.malformed, []);
    let bytes: usize = imported.episodes[0].steps.iter().map(|s| s.size_bytes()).sum();
    assert!(bytes <= MAX_EPISODE_BYTES && bytes > MAX_EPISODE_BYTES / 4, "{bytes}");
    assert!(
        imported.episodes[0]
            .steps
            .iter()
            .all(|s| s.observation.contains("500003 bytes in the source")
                || s.observation.contains("500002 bytes in the source"))
    );
}

#[test]
fn too_many_steps_are_kept_up_to_the_limit_and_the_rest_is_said() {
    let actions = vec!["ls"; 25_000];
    let run = json!([{"query": "q", "turn_history": {"actions": actions}}]);
    let imported = import_text(&run.to_string());
    let steps = &imported.episodes[0].steps;
    assert_eq!(steps.len(), MAX_STEPS);
    assert_eq!(
        steps[MAX_STEPS - 1].action,
        "[cut: 25000 steps in the source, the first 9999 kept]"
    );
}

#[test]
fn deep_json_is_refused_without_a_stack_overflow() {
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let record = format!("{{\"task_id\":9,\"traj\":{deep}}}");
    let imported = import_text(&format!("[{record},{}]", run(1, "ok")));
    assert_eq!((imported.episodes.len(), imported.malformed.len()), (1, 1));

    let line = format!(
        "{{\"task_description\":\"t\",\"steps\":[{{\"action\":\"a\",\"parameters\":{deep}}}]}}"
    );
    let imported = import_text(&format!("{line}\n{{\"task_description\":\"u\"}}\n"));
    assert_eq!((imported.episodes.len(), imported.malformed.len()), (1, 1));

    // As arguments of a call that is otherwise sound it is kept, as text.
    let arguments = serde_json::to_string(&deep[100_000..].repeat(2)[..300]).unwrap();
    let record = run(1, "ok").replace("\"{}\"", &arguments);
    assert_eq!(import_text(&format!("[{record}]")).episodes.len(), 1);
}

/// A deterministic stream of bytes, the same on every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }
}

#[test]
fn no_damage_makes_an_importer_panic_or_loop() {
    let samples: Vec<Vec<u8>> = [
        format!("[{}]", runs(3).join(",\n")),
        format!("{{\"0\":{},\"1\":{}}}", run(0, "x"), run(1, "y")),
        "{\"0\":{\"query\":\"q\",\"turn_history\":{\"actions\":[\"a\"],\"rewards\":[1]}}}"
            .to_owned(),
        "{\"history\":[{\"role\":\"user\",\"content\":\"q\"}],\"info\":{}}".to_owned(),
        "{\"type\":\"user\",\"sessionId\":\"s\",\"uuid\":\"u\",\"message\":{\"content\":\"hi\"}}\n"
            .repeat(3),
        "{\"kind\":\"episode\",\"task_description\":\"t\"}\n".repeat(2),
        "{\"type\":\"entity\",\"name\":\"n\",\"entityType\":\"t\",\"observations\":[\"o\"]}\n"
            .repeat(2),
    ]
    .map(String::into_bytes)
    .into();
    let alphabet = b"{}[]\",:\\\n\0 \xFFa0u";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("noise");
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    for round in 0..3000 {
        let mut bytes = samples[round % samples.len()].clone();
        for _ in 0..=noise.next(4) {
            if bytes.is_empty() {
                break;
            }
            let at = noise.next(bytes.len());
            let byte = alphabet[noise.next(alphabet.len())];
            match noise.next(4) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        fs::write(&file, &bytes).unwrap();
        if plan(std::slice::from_ref(&file)).is_ok() {
            let imported = import(&[&file]);
            let reports = imported.malformed.len();
            assert!(
                reports <= bytes.len(),
                "{reports} reports on {}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
}

#[test]
fn folders_are_read_in_order_once_and_other_files_are_skipped_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("b");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("run.json"), format!("[{}]", run(1, "ok"))).unwrap();
    fs::write(folder.path().join("a.json"), format!("[{}]", run(2, "ok"))).unwrap();
    fs::write(folder.path().join("LICENSE"), "MIT License\n").unwrap();
    fs::write(folder.path().join("empty.json"), "").unwrap();
    symlink(folder.path(), inner.join("loop")).unwrap();
    symlink(inner.join("run.json"), folder.path().join("z.json")).unwrap();
    symlink("/nonexistent", folder.path().join("dangling")).unwrap();
    let found = plan(&[folder.path().to_owned(), folder.path().join("a.json")]).unwrap();
    let names: Vec<_> =
        found.files.iter().map(|f| f.path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["a.json", "run.json"]);
    let mut skipped: Vec<String> = found
        .skipped
        .iter()
        .map(|s| format!("{}: {}", s.path.file_name().unwrap().display(), s.reason))
        .collect();
    skipped.sort();
    assert_eq!(skipped.len(), 3, "{skipped:?}");
    assert!(skipped[0].starts_with("LICENSE: no known format"));
    assert!(skipped[2].starts_with("empty.json: is empty"));
}

#[test]
fn a_named_file_that_cannot_be_imported_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    fs::write(&file, "just notes").unwrap();
    assert!(plan(&[file]).unwrap_err().to_string().contains("no known format"));
    let error = plan(&[folder.path().join("absent")]).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}
