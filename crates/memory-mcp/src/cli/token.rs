//! `memory-mcp token create | list | revoke`.

use std::io;

use memory_core::{Clock, SystemClock};

use super::Failure;
use super::args::{TokenCommand, TokenCreateArgs};
use super::output::{DIM, Output, paint, utc};
use super::session::Session;
use crate::http::TokenFile;

pub(super) fn run(
    command: &TokenCommand,
    session: &Session,
    out: &mut Output,
) -> Result<(), Failure> {
    let tokens = TokenFile::at(session.config().token_file());
    match command {
        TokenCommand::Create(args) => create(args, &session.config().project, &tokens, out),
        TokenCommand::List => list(&tokens, out),
        TokenCommand::Revoke(args) => match tokens.revoke(&args.name) {
            Ok(true) => out.line(format_args!("Revoked {}.", args.name)),
            Ok(false) => Err(Failure::not_found(format!("there is no token \"{}\"", args.name))
                .hint("`memory-mcp token list` shows those that there are")),
            Err(e) => Err(of_file(&tokens, &e)),
        },
    }
}

fn create(
    args: &TokenCreateArgs,
    project: &str,
    tokens: &TokenFile,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut projects = args.projects.clone();
    if !project.is_empty() && !projects.iter().any(|p| p == project) {
        projects.insert(0, project.to_owned());
    }
    let made = tokens.create(&args.name, projects.clone(), SystemClock.now());
    let token = made.map_err(|e| of_file(tokens, &e))?;
    if out.is_json() {
        return out.json(&serde_json::json!({
            "name": args.name, "projects": projects, "token": token.reveal(),
        }));
    }
    out.line(token.reveal())?;
    super::output::say("Send it as `Authorization: Bearer TOKEN`. It is shown this once.");
    Ok(())
}

fn list(tokens: &TokenFile, out: &mut Output) -> Result<(), Failure> {
    let all = tokens.list().map_err(|e| of_file(tokens, &e))?;
    if out.is_json() {
        return out.json(&all);
    }
    for token in &all {
        let projects = match token.projects.join(", ") {
            all if all.is_empty() => "every project".to_owned(),
            some => some,
        };
        out.line(format_args!("{:<20}  {}  {projects}", token.name, utc(token.created_at)))?;
    }
    if all.is_empty() {
        out.line(paint(DIM, "There are no tokens; `memory-mcp token create NAME` makes one."))?;
    }
    Ok(())
}

/// What is wrong with the file, or with what was asked of it.
fn of_file(tokens: &TokenFile, e: &io::Error) -> Failure {
    match e.kind() {
        io::ErrorKind::InvalidInput => Failure::usage(e.to_string()),
        _ => Failure::failed(format!("{}: {e}", tokens.path().display())),
    }
}
