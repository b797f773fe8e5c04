//! Recorded runs of real agents: every one goes in, judged as its source judges it, once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use memory_core::envelope::Codec;
use memory_core::{Episode, OutcomeKind, RewardSource};
use memory_storage_turso::payload::{Payloads, train};

use super::{Imported, import, import_at};

/// A folder of recorded runs; `None`, with a word on it, where there is none.
fn runs(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no recorded runs at {}", folder.display());
    None
}

fn rewards_of_one(imported: &Imported) -> usize {
    let full = |r: &memory_core::Reward| r.score == 1.0 && r.source == RewardSource::Environment;
    imported.episodes.iter().filter(|e| e.reward.as_ref().is_some_and(full)).count()
}

#[test]
fn every_tau_bench_run_is_judged_by_its_reward() {
    let Some(folder) = runs("tau-bench") else { return };
    let imported = import(&[&folder]);
    assert_eq!(imported.malformed, []);
    assert_eq!((imported.episodes.len(), imported.ids().len()), (200, 200));
    assert_eq!(rewards_of_one(&imported), 84);
    assert_eq!(imported.count(OutcomeKind::Success), 84);
    assert_eq!(imported.count(OutcomeKind::Failure), 116);
    for episode in &imported.episodes {
        assert!(episode.steps.iter().any(|s| !s.tool.is_empty()) || episode.steps.len() > 2);
        assert_eq!(episode.context.domain, "airline");
        let answered = episode.steps.iter().filter(|s| !s.tool.is_empty());
        assert!(answered.clone().all(|s| s.success.is_some()), "{}", episode.id);
    }
}

#[test]
fn nothing_of_the_answer_sheet_is_imported() {
    let Some(folder) = runs("tau-bench") else { return };
    for episode in import(&[&folder]).episodes {
        let text = serde_json::to_string(&episode).unwrap();
        assert!(!text.contains("gt_data_hash") && !text.contains("kwargs"), "{}", episode.id);
    }
    let Some(folder) = runs("intercode") else { return };
    for episode in import(&[&folder]).episodes {
        let text = serde_json::to_string(&episode).unwrap();
        assert!(
            !text.contains("eval_obs") && !text.contains("answer_similarity"),
            "{}",
            episode.id
        );
    }
}

#[test]
fn every_intercode_run_of_every_agent_is_kept() {
    let Some(folder) = runs("intercode") else { return };
    let imported = import(&[&folder]);
    assert_eq!(imported.malformed, []);
    assert_eq!((imported.episodes.len(), imported.ids().len()), (2511, 2511));
    assert_eq!(rewards_of_one(&imported), 1465);
    assert_eq!(imported.count(OutcomeKind::Success), 1465);
    let types: BTreeSet<&str> = imported.episodes.iter().map(|e| e.task_type.as_str()).collect();
    assert_eq!(types, BTreeSet::from(["bash", "ctf", "python", "sql"]));
}

#[test]
fn every_swe_agent_run_is_kept_unjudged() {
    let Some(folder) = runs("swe-agent") else { return };
    let imported = import(&[&folder]);
    assert_eq!(imported.malformed, []);
    assert_eq!((imported.episodes.len(), imported.ids().len()), (15, 15));
    assert_eq!(imported.count(OutcomeKind::Unjudged), 15);
    for episode in &imported.episodes {
        assert!(!episode.task_description.contains("YOU CAN ONLY ENTER ONE COMMAND"));
        assert!(episode.steps.len() >= 4, "{}", episode.task_description);
    }
}

#[test]
fn four_sessions_are_four_episodes_though_one_file_holds_lines_of_two() {
    let Some(folder) = runs("claude-code") else { return };
    let imported = import(&[&folder]);
    assert_eq!((imported.episodes.len(), imported.ids().len()), (4, 4));
    let mut reported: Vec<u64> = imported.malformed.iter().map(|m| m.line).collect();
    reported.sort_unstable();
    assert_eq!(reported, [10, 11, 13, 14, 15, 16, 18], "{:#?}", imported.malformed);
    let alone = import(&[&folder.join("todowrite_examples.jsonl")]);
    let digest = &alone.names()[0];
    assert!(imported.names().contains(digest), "stray lines changed a session");
}

#[test]
fn importing_again_from_elsewhere_gives_the_same_ids_and_digests() {
    for name in ["tau-bench", "intercode", "swe-agent", "claude-code"] {
        let Some(folder) = runs(name) else { return };
        let first = import(&[&folder]);
        let elsewhere = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        let mut pending = vec![folder];
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                pending.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            } else if path.file_name().is_some_and(|n| n != "LICENSE") {
                let copy = elsewhere.path().join(format!("{}.copy", paths.len()));
                std::fs::copy(&path, &copy).unwrap();
                paths.push(copy);
            }
        }
        let second = import_at(&paths, "another project", 1);
        assert_eq!(first.names(), second.names(), "{name}");
    }
}

#[test]
fn a_file_cut_in_the_middle_gives_what_is_before_the_cut_and_names_the_line() {
    let Some(folder) = runs("tau-bench") else { return };
    let text = std::fs::read_to_string(folder.join("gpt-4o-airline.json")).unwrap();
    let whole = import(&[&folder]);
    let cut = &text[..text.len() / 2];
    let imported = super::import_text(cut);
    assert!(imported.episodes.len() > 80, "{}", imported.episodes.len());
    assert_eq!(imported.names(), {
        let mut before = whole;
        before.episodes.truncate(imported.episodes.len());
        before.names()
    });
    assert_eq!(imported.malformed.len(), 1);
    assert_eq!(imported.malformed[0].line, cut.matches('\n').count() as u64 + 1);
    assert!(imported.malformed[0].problem.contains("cut off"));
}

/// With a dictionary of one half, measured on the other.
#[test]
fn the_recorded_runs_are_stored_in_a_third_of_their_json() {
    let folders: Vec<PathBuf> =
        ["tau-bench", "intercode", "swe-agent"].into_iter().filter_map(runs).collect();
    if folders.is_empty() {
        return;
    }
    let imported = import(&folders.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    let (measured, others): (Vec<_>, Vec<_>) =
        imported.episodes.iter().enumerate().partition(|(n, _)| n % 2 == 0);
    let others: Vec<&Episode> = others.into_iter().map(|(_, episode)| episode).collect();
    let payloads = Payloads::default();
    payloads.add("default", train(Codec::MessagePack, &others).unwrap());
    let (mut stored, mut json) = (0, 0);
    for (_, episode) in measured {
        stored += payloads.encode_episode(episode).unwrap().len();
        json += serde_json::to_vec(episode).unwrap().len();
    }
    assert!(stored * 100 <= json * 35, "{stored} bytes of {json}");
}
