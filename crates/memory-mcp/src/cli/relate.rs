//! `memory-mcp relate FROM RELATION TO`.

use memory_core::EpisodeId;
use memory_core::store::Relation;
use serde_json::json;

use super::Failure;
use super::args::RelateArgs;
use super::output::Output;
use super::session::{LocalMemory, Session};

pub(super) async fn run(
    args: &RelateArgs,
    memory: &LocalMemory,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let (from, to): (EpisodeId, EpisodeId) = (args.from.parse()?, args.to.parse()?);
    let project = memory.require(&session.scope(), from).await?.project.clone();
    let relation = Relation { project, from, relation: args.relation, to, at: memory.now() };
    memory.relate(relation.clone()).await?;
    if out.is_json() {
        return out.json(&json!({ "related": relation }));
    }
    out.line(format_args!("Noted: {from} {} {to}", args.relation.as_str()))
}
