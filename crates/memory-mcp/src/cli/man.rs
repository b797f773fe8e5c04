//! `memory-mcp man`.

use clap::CommandFactory;

use super::Failure;
use super::args::{Args, ManArgs};
use super::output::Output;

pub(super) fn run(args: &ManArgs, out: &mut Output) -> Result<(), Failure> {
    let command = Args::command();
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        return out.raw(&page);
    };
    std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir)).map_err(
        |e| Failure::failed(format!("cannot write manual pages into {}: {e}", dir.display())),
    )?;
    out.line(format_args!("manual pages written into {}", dir.display()))
}
