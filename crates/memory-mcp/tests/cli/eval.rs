//! `eval` on recorded runs.

use serde_json::Value;

use crate::recorded_runs::recorded;
use crate::world::{World, text};

/// The best of what plain full text reaches on these runs is a third; a lower bound is held, not the
/// figure of the day.
#[test]
fn lessons_name_more_right_actions_and_mistakes_than_full_text() {
    let Some(folder) = recorded("tau-bench") else { return };
    let world = World::new();
    let report = world.json(&["eval", "lessons", text(&folder)]);
    let total = &report["total"];
    println!("{total}");
    let count = |value: &Value| value.as_u64().unwrap();
    let (questions, recall) = (count(&total["questions"]), count(&total["recall"]["either"]));
    assert_eq!(questions, 82);
    assert!(count(&total["possible"]) < questions);
    assert!(recall * 2 >= questions, "{recall} of {questions}");
    for plain in ["full_text", "full_text_end"] {
        let plain = count(&total[plain]["either"]);
        assert!(plain > 0 && recall >= plain + 12, "{recall} against {plain}");
    }
    assert!(count(&report["median_tokens"]) <= 1000);
}
