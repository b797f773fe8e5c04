//! What was found, for people and for programs.

use memory_storage_turso::verify::{Finding, Remedy, Verification};
use serde_json::{Value, json};

use super::super::Failure;
use super::super::args::VerifyArgs;
use super::super::output::{BAD, DIM, GOOD, Output, TITLE, one_line, paint};
use super::caches::Caches;
use super::waiting::Waiting;
use crate::config::Place;

/// Findings of the database that are shown; `--json` has a thousand.
const SHOWN: usize = 50;

/// What was found.
pub(super) struct Report {
    pub(super) place: Place,
    pub(super) database: Verification,
    pub(super) caches: Caches,
    pub(super) waiting: Waiting,
}

impl Report {
    pub(super) fn found(&self) -> u64 {
        self.database.found + self.caches.found() + self.waiting.problems.len() as u64
    }

    fn repaired(&self) -> u64 {
        self.database.repaired + self.caches.found()
    }

    pub(super) fn print(&self, args: &VerifyArgs, out: &mut Output) -> Result<(), Failure> {
        if out.is_json() {
            return out.json(&self.document());
        }
        self.print_database(out)?;
        self.print_caches(out)?;
        self.print_waiting(out)?;
        self.print_end(args, out)
    }

    fn print_database(&self, out: &mut Output) -> Result<(), Failure> {
        let Verification { episodes, found, findings, engine_refused, .. } = &self.database;
        out.line(format_args!("{}  {}", paint(TITLE, "database"), self.place))?;
        out.line(format_args!("  {episodes} episodes checked, {}", problems(*found)))?;
        if *engine_refused {
            let line = "  the server does not let its clients check its files";
            out.line(paint(DIM, line))?;
        }
        for finding in findings.iter().take(SHOWN) {
            line_of(finding, out)?;
        }
        let more = found.saturating_sub(SHOWN.min(findings.len()) as u64);
        if more > 0 {
            out.line(paint(DIM, format_args!("  … and {more} more; --json tells a thousand")))?;
        }
        Ok(())
    }

    fn print_caches(&self, out: &mut Output) -> Result<(), Failure> {
        let Caches { files, in_use, damaged, checked, dropped } = &self.caches;
        out.line(paint(TITLE, "cache"))?;
        if files + in_use == 0 {
            return out.line("  no cache file");
        }
        out.line(format_args!("  {checked} episodes in {files} files compared with the database"))?;
        if *in_use > 0 {
            out.line(format_args!("  {in_use} files are in use and were left to their processes"))?;
        }
        if *damaged > 0 {
            out.line(paint(BAD, format_args!("  {damaged} files were damaged and set aside")))?;
        }
        if *dropped > 0 {
            out.line(paint(BAD, format_args!("  {dropped} episodes differed and were dropped")))?;
        }
        Ok(())
    }

    fn print_waiting(&self, out: &mut Output) -> Result<(), Failure> {
        let Waiting { waiting, refused, problems: found } = &self.waiting;
        out.line(paint(TITLE, "waiting on this machine"))?;
        out.line(format_args!(
            "  {waiting} writes, {refused} refused by a server, {}",
            problems(found.len() as u64)
        ))?;
        for problem in found {
            out.line(paint(BAD, format_args!("  {}", one_line(problem, 300))))?;
        }
        Ok(())
    }

    fn print_end(&self, args: &VerifyArgs, out: &mut Output) -> Result<(), Failure> {
        let (found, repaired) = (self.found(), self.repaired());
        if found == 0 {
            return out.line(paint(GOOD, "Nothing is wrong."));
        }
        out.line(format_args!("{found} found, {repaired} repaired, {} left.", found - repaired))?;
        let repairable = self.database.repairable;
        if !args.repair && repairable > 0 {
            let line = format!("`memory-mcp verify --repair` puts {repairable} right without loss");
            out.line(paint(DIM, line))?;
        }
        if self.database.found > self.database.repaired + repairable {
            out.line(paint(DIM, "what is lost may be in a backup or an export"))?;
        }
        Ok(())
    }

    fn document(&self) -> Value {
        let Verification { episodes, found, repaired, repairable, parts, findings, engine_refused } =
            &self.database;
        json!({
            "sound": self.found() == 0,
            "found": self.found(),
            "repaired": self.repaired(),
            "database": {
                "place": self.place.to_string(),
                "episodes": episodes,
                "found": found,
                "repaired": repaired,
                "repairable": repairable,
                "found_in": parts,
                "files_checked": !engine_refused,
                "findings": findings,
            },
            "cache": self.caches,
            "waiting_on_this_machine": self.waiting,
        })
    }
}

fn problems(n: u64) -> String {
    if n == 0 { "nothing wrong".into() } else { format!("{n} findings") }
}

fn line_of(finding: &Finding, out: &mut Output) -> Result<(), Failure> {
    let Finding { part, thing, problem, remedy } = finding;
    let end = match remedy {
        Remedy::Repaired => paint(GOOD, "repaired"),
        Remedy::Repairable => "can be repaired".into(),
        Remedy::ByHand => paint(BAD, "lost"),
    };
    out.line(format_args!("  {thing}: {}: {} ({end})", part.as_str(), one_line(problem, 300)))
}
