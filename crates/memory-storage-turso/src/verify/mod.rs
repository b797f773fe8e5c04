//! Whether what is stored agrees with itself, and repairing what can be repaired without loss.
//!
//! The payload is the document and has a checksum. Columns, metadata rows and the text index are
//! drawn from it and can be drawn again. What cannot be drawn from anything is told and left alone.
//!
//! - `report`: what was found
//! - `engine`: the engine's own checks of its file and of the text index
//! - `page`: episodes in the order of their rows, each with all that hangs on it
//! - `compare`: one episode against what was drawn from it
//! - `quick`: what can be told in a moment
//! - `leftovers`: rows that belong to nothing, and the feed against what it tells of

mod compare;
mod engine;
mod leftovers;
mod page;
pub(crate) mod quick;
mod report;

use memory_core::envelope::dictionary_of;
use memory_core::{EpisodeId, Result, Timestamp};

use crate::batch::{Access, Batch, Statement, Value};
use crate::database::Database;
use crate::store::TursoStore;

pub(crate) use engine::file_problems;
use report::Problem;
pub use report::{Finding, Part, Remedy, Verification};

/// Cached answers to queries elsewhere were given before a repair. `?1` is nobody's id.
const RECORD_REPAIR: &str = "\
INSERT INTO changes (kind, id, version, write_id) VALUES ('repair', ?1, NULL, ?1)";

impl TursoStore {
    /// Checks that everything stored agrees with itself, and with `repair` puts right what can be put
    /// right without loss. Tells `progress` how many episodes are done. Others may go on working:
    /// what they change meanwhile is left to them.
    ///
    /// # Errors
    ///
    /// Those of [`ready`](Self::ready); the database could not be reached or asked. What is damaged is
    /// no error but a finding.
    pub async fn verify(
        &self,
        repair: bool,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Verification> {
        let database = &*self.database;
        database.ready().await?;
        let checking = Checking { store: self, database, repair };
        let mut report = Verification::default();
        let emptied = checking.engine(&mut report).await?;
        checking.episodes(emptied, &mut report, &mut progress).await?;
        let problems = leftovers::problems(database).await?;
        checking.settle(problems, &mut report).await?;
        Ok(report)
    }
}

fn repaired_if(done: bool) -> Remedy {
    if done { Remedy::Repaired } else { Remedy::ByHand }
}

/// One run.
struct Checking<'a> {
    store: &'a TursoStore,
    database: &'a Database,
    repair: bool,
}

impl Checking<'_> {
    /// The engine's checks. True: the text index was emptied, to be filled by the walk.
    async fn engine(&self, report: &mut Verification) -> Result<bool> {
        let transport = self.database.transport();
        let mut add = |part, problem, remedy| {
            report.add(Finding { part, thing: "the database".into(), problem, remedy });
        };
        let text = engine::text_problem(transport).await?;
        let emptied = self.repair && text.is_some() && engine::empty_text(transport).await.is_ok();
        if let Some(problem) = text {
            let remedy = if self.repair { repaired_if(emptied) } else { Remedy::Repairable };
            add(Part::Text, problem, remedy);
        }
        let found = engine::file_problems(transport).await?;
        let mut left = found.clone().unwrap_or_default();
        // A disk that is full, a page that is lost: then the second look finds the same again.
        if self.repair && !left.is_empty() && engine::rebuild_indexes(transport).await.is_ok() {
            left = engine::file_problems(transport).await?.unwrap_or_default();
        }
        for problem in found.iter().flatten() {
            let remedy = match left.contains(problem) {
                false => Remedy::Repaired,
                true if !self.repair && problem.contains(" index ") => Remedy::Repairable,
                true => Remedy::ByHand,
            };
            add(Part::Engine, problem.clone(), remedy);
        }
        report.engine_refused = found.is_none();
        Ok(emptied)
    }

    async fn episodes(
        &self,
        refill: bool,
        report: &mut Verification,
        progress: &mut (impl FnMut(u64) + Send),
    ) -> Result<()> {
        let mut walk = page::Walk::default();
        while let Some(page) = walk.next(self.database).await? {
            let mut problems: Vec<Problem> = page.unreadable;
            let needed = page.rows.iter().filter_map(|row| dictionary_of(&row.payload));
            // One that is not there makes a payload unreadable, which is found below.
            self.store.fetch_dictionaries(needed).await?;
            for row in &page.rows {
                let payloads = &self.store.payloads;
                problems.extend(compare::problems(row, payloads, page.complete_feed));
            }
            report.episodes += page.rows.len() as u64;
            // An index that was emptied is one finding, not as many as there are episodes.
            let (text, problems) =
                problems.into_iter().partition(|p| refill && p.part == Part::Text);
            self.settle(text, &mut Verification::default()).await?;
            self.settle(problems, report).await?;
            progress(report.episodes);
        }
        Ok(())
    }

    /// Repairs what can be repaired, if that is wanted, and takes everything into the report.
    async fn settle(&self, problems: Vec<Problem>, report: &mut Verification) -> Result<()> {
        let wanted = problems.iter().flat_map(|p| p.repair.iter().flatten());
        let mut statements: Vec<Statement> = wanted.cloned().collect();
        if self.repair && !statements.is_empty() {
            let nobody = EpisodeId::generate(Timestamp(0));
            let nobody = Value::Blob(nobody.as_bytes().to_vec());
            statements.push(Statement::new(RECORD_REPAIR, vec![nobody]));
            self.database.run(Batch { access: Access::Write, statements }).await?;
        }
        for Problem { part, thing, problem, repair } in problems {
            let remedy = match repair {
                Some(_) if self.repair => Remedy::Repaired,
                Some(_) => Remedy::Repairable,
                None => Remedy::ByHand,
            };
            report.add(Finding { part, thing, problem, remedy });
        }
        Ok(())
    }
}
