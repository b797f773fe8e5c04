//! The two databases of a copy and the token each is shown.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use memory_storage_turso::pending::PendingFile;
use memory_storage_turso::{TokenSource, TursoStore};

use crate::cli::Failure;
use crate::cli::args::CopyArgs;
use crate::cli::session::Session;
use crate::config::Place;

/// How every SQLite file begins.
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// From where to where.
pub(super) struct Ends {
    pub(super) from: Place,
    pub(super) to: Place,
    from_token: TokenSource,
    to_token: TokenSource,
}

impl Ends {
    /// An end that is not given is the database of the settings.
    pub(super) fn of(args: &CopyArgs, session: &Session) -> Result<Self, Failure> {
        let end = |flag: &str, given: &Option<String>| match given {
            None => session.place(),
            Some(text) => Place::parse(text).map_err(|problem| {
                Failure::usage(format!("{flag} {problem}"))
                    .hint("give a file, or a URL like libsql://name.turso.io")
            }),
        };
        let (from, to) = (end("--from", &args.from)?, end("--to", &args.to)?);
        if from == to {
            return Err(Failure::usage(format!("source and target are the same database, {from}"))
                .hint("give the other one with --from or --to"));
        }
        if let Place::File(path) = &from
            && !path.is_file()
        {
            return Err(Failure::not_found(format!("there is no database file {from}"))
                .hint("`memory-mcp config` shows database.url and data_dir"));
        }
        for place in [&from, &to] {
            let Place::File(path) = place else { continue };
            if !is_database(path) {
                return Err(Failure::usage(format!("{place} is no database file"))
                    .hint("exports and recorded runs are read by `memory-mcp import`"));
            }
        }
        let from_token = token(&from, args.from_token_file.as_ref(), &to, session)?;
        let to_token = token(&to, args.to_token_file.as_ref(), &from, session)?;
        Ok(Ends { from, to, from_token, to_token })
    }

    /// Opens both; the target's file is created when absent.
    pub(super) async fn open(
        &self,
        session: &Session,
    ) -> Result<(TursoStore, TursoStore), Failure> {
        let source = open(&self.from, &self.from_token, session).await?;
        Ok((source, open(&self.to, &self.to_token, session).await?))
    }
}

async fn open(
    place: &Place,
    token: &TokenSource,
    session: &Session,
) -> Result<TursoStore, Failure> {
    match place {
        Place::File(path) => Ok(TursoStore::open(session.config().file(path.clone())).await?),
        Place::Server(url) => {
            let store = TursoStore::connect(session.config().server(url.clone(), token.clone()))?;
            let ready = store.ready().await;
            ready.map_err(|e| Failure::from(e).about(place))?;
            Ok(store)
        }
    }
}

/// Writes on this machine that the database at `place` does not have yet.
pub(in crate::cli) async fn waiting(place: &Place, session: &Session) -> Result<usize, Failure> {
    let config = session.config().pending_file();
    let Place::Server(url) = place else { return Ok(0) };
    if !config.path.is_file() {
        return Ok(0);
    }
    let (file, url) = (PendingFile::open(config).await?, url.to_string());
    let entries = file.entries().await?;
    file.close().await;
    Ok(entries.iter().filter(|entry| entry.url == url).count())
}

/// True also for what is not there yet; whether it is one of this program, opening it will tell.
fn is_database(path: &Path) -> bool {
    let mut start = [0; SQLITE_HEADER.len()];
    match File::open(path).and_then(|mut file| file.read_exact(&mut start)) {
        Ok(()) => start == *SQLITE_HEADER,
        Err(_) => std::fs::metadata(path).map_or(true, |m| m.len() == 0),
    }
}

/// A token goes to the server it was set for and to no other.
fn token(
    place: &Place,
    file: Option<&PathBuf>,
    other: &Place,
    session: &Session,
) -> Result<TokenSource, Failure> {
    if let Some(file) = file {
        return Ok(TokenSource::File(file.clone()));
    }
    let token = session.config().token();
    match (place, session.place()?, other) {
        (Place::File(_), _, _) => Ok(TokenSource::None),
        (place, configured @ Place::Server(_), _) if configured == *place => Ok(token),
        (_, Place::Server(_), _) => Ok(TokenSource::None),
        (_, _, Place::File(_)) => Ok(token),
        _ if matches!(token, TokenSource::None) => Ok(token),
        _ => Err(Failure::usage("there are two servers and one token")
            .hint("give each its own with --from-token-file and --to-token-file")),
    }
}
