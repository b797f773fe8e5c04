//! What an answer has to name, and whether it does.

use memory_core::EpisodeId;
use memory_core::learning::task_action::NO_CHANGE;
use memory_core::recall::Recall;

use super::call::Call;
use super::runs::Run;

/// A failed run, seen from its answer sheet.
pub(super) struct Question {
    task: String,
    /// Expected calls that the run did not make.
    missing: Vec<Call>,
    /// Calls that it made instead.
    wrong: Vec<Call>,
    /// It changed nothing at all.
    did_nothing: bool,
}

/// What an answer says, line by line.
#[derive(Default)]
pub(super) struct Answer {
    lines: Vec<Line>,
    /// Runs that are shown whole, so that what they did not do can be seen.
    whole: Vec<EpisodeId>,
}

struct Line {
    text: String,
    /// It tells what went well; else what went wrong.
    good: bool,
    /// The run it is about.
    run: EpisodeId,
}

/// Whether an answer would have helped.
#[derive(Clone, Copy, Default)]
pub(super) struct Verdict {
    pub(super) right_action: bool,
    pub(super) same_mistake: bool,
}

impl Question {
    /// `None` unless the run failed and an expected change is missing or has other arguments.
    pub(super) fn of(run: &Run) -> Option<Self> {
        let did = Call::of(&run.episode.steps);
        let not_in = |calls: &[Call], call: &Call| !calls.contains(call);
        let missing: Vec<Call> =
            run.expected.iter().filter(|call| not_in(&did, call)).cloned().collect();
        if run.solved() || missing.is_empty() {
            return None;
        }
        let wrong = did.iter().filter(|call| not_in(&run.expected, call)).cloned().collect();
        Some(Question { task: run.task.clone(), missing, wrong, did_nothing: did.is_empty() })
    }

    /// True when some earlier run of the task did what is missing and went well, or failed in the
    /// same way.
    pub(super) fn can_be_answered_by(&self, known: &[&Run]) -> bool {
        known.iter().filter(|run| run.task == self.task).any(|run| {
            let did = Call::of(&run.episode.steps);
            let shared = |calls: &[Call]| calls.iter().any(|call| did.contains(call));
            if run.solved() {
                shared(&self.missing)
            } else {
                shared(&self.wrong) || (self.did_nothing && did.is_empty())
            }
        })
    }

    /// Only what an answer says about runs of the same task counts, and only what is true of them.
    pub(super) fn judge(&self, answer: &Answer, known: &[&Run]) -> Verdict {
        let about =
            |id: EpisodeId| known.iter().find(|run| run.episode.id == id && run.task == self.task);
        let names =
            |line: &Line, calls: &[Call]| calls.iter().any(|call| call.is_named_in(&line.text));
        let mut verdict = Verdict::default();
        for line in &answer.lines {
            let Some(run) = about(line.run) else { continue };
            if line.good && run.solved() {
                verdict.right_action |= names(line, &self.missing);
            } else if !line.good && !run.solved() {
                let said_so =
                    line.text.contains(NO_CHANGE) && Call::of(&run.episode.steps).is_empty();
                verdict.same_mistake |= names(line, &self.wrong) || (self.did_nothing && said_so);
            }
        }
        let seen_whole = answer.whole.iter().filter_map(|id| about(*id));
        let mut did_nothing =
            seen_whole.filter(|run| !run.solved() && Call::of(&run.episode.steps).is_empty());
        verdict.same_mistake |= self.did_nothing && did_nothing.next().is_some();
        verdict
    }
}

impl Answer {
    /// The lines of a run's text.
    pub(super) fn of_run(run: &Run, lines: Vec<String>, is_whole: bool) -> Self {
        let (good, id) = (run.solved(), run.episode.id);
        let lines = lines.into_iter().map(|text| Line { text, good, run: id }).collect();
        Answer { lines, whole: is_whole.then_some(id).into_iter().collect() }
    }

    /// Items and lessons. A lesson is about the run that is given as its evidence.
    pub(super) fn of_recall(recall: &Recall) -> Self {
        let mut lines = Vec::new();
        for item in &recall.items {
            let good = item.outcome == "success";
            let said = item.done.iter().chain(&item.lessons);
            lines.extend(said.map(|text| Line { text: text.clone(), good, run: item.id }));
        }
        for lesson in &recall.lessons {
            let good = lesson.failed_with.is_empty();
            let text = if good { &lesson.action } else { &lesson.failed_with };
            for run in &lesson.evidence {
                lines.push(Line { text: text.clone(), good, run: *run });
            }
        }
        Answer { lines, whole: Vec::new() }
    }
}
