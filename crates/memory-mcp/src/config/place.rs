//! Where a database is, as users write it: a server's URL or a file.

use std::fmt;
use std::path::PathBuf;

use memory_core::error::excerpt;
use memory_storage_turso::DatabaseUrl;

/// Schemes of URLs that name a server.
const SERVER_SCHEMES: [&str; 5] = ["libsql", "https", "http", "wss", "ws"];

/// Parts of a URL's query that carry a token, in lower case.
const TOKEN_NAMES: [&str; 4] = ["authtoken", "auth_token", "token", "jwt"];

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file on this machine.
    File(PathBuf),
    /// A libSQL server or Turso Cloud.
    Server(DatabaseUrl),
}

impl fmt::Display for Place {
    /// Never more of a URL than its scheme and host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Server(url) => url.fmt(f),
        }
    }
}

impl Place {
    /// Reads a URL or a path. The error is the end of a sentence about it and holds nothing of a URL:
    /// there could be a token in any part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("file:") {
            // `file:///a/b` and `file://localhost/a/b` are the same as `/a/b`.
            let path = match path.strip_prefix("//") {
                Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
                None => path,
            };
            return Place::file(path);
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Place::file(text) };
        if !SERVER_SCHEMES.contains(&scheme) {
            let scheme = excerpt(scheme);
            return Err(format!(
                "has the scheme {scheme}, which is none of libsql, https, http, file"
            ));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let query = rest.split_once('?').map_or("", |(_, query)| query).to_lowercase();
        let names = query.split(['&', ';']).map(|pair| pair.split('=').next().unwrap_or_default());
        if authority.contains('@') || names.into_iter().any(|name| TOKEN_NAMES.contains(&name)) {
            return Err(
                "holds a token or password, which others could read there; take it out and \
                        set MEMORY_MCP_DATABASE_AUTH_TOKEN or database.auth_token_file instead"
                    .into(),
            );
        }
        Ok(Place::Server(DatabaseUrl::from(text)))
    }

    fn file(path: &str) -> Result<Self, String> {
        let path_like = path.contains(['/', '\\']);
        let port = path.rsplit_once(':').is_some_and(|(host, port)| {
            host.len() > 1 && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
        });
        if !path_like && port {
            return Err(format!("is a host and a port; write it as http://{}", excerpt(path)));
        }
        let path = PathBuf::from(path);
        if path.file_name().is_none() {
            return Err("names no file; give a path, or a URL like libsql://name.turso.io".into());
        }
        Ok(Place::File(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_servers_and_everything_else_is_a_file() {
        let server = |text: &str| match Place::parse(text) {
            Ok(Place::Server(url)) => url.to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(server("libsql://db-me.turso.io"), "https://db-me.turso.io");
        assert_eq!(server(" http://127.0.0.1:8080/ "), "http://127.0.0.1:8080");
        assert_eq!(server("https://db.example/base?tls=1"), "https://db.example");
        let file = |text: &str| match Place::parse(text) {
            Ok(Place::File(path)) => path.display().to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(file("team.db"), "team.db");
        assert_eq!(file("file:team.db"), "team.db");
        assert_eq!(file("file:/srv/team.db"), "/srv/team.db");
        assert_eq!(file("file:///srv/team.db"), "/srv/team.db");
        assert_eq!(file("file://localhost/srv/team.db"), "/srv/team.db");
        assert_eq!(file("/srv/a:1/team.db"), "/srv/a:1/team.db");
    }

    #[test]
    fn what_is_neither_is_refused_with_what_would_be_right() {
        let problem = |text: &str| Place::parse(text).unwrap_err();
        assert!(problem("ftp://host").contains("none of libsql, https, http, file"));
        assert!(problem("localhost:8080").contains("http://localhost:8080"));
        assert!(problem("file:///").contains("names no file"));
    }

    #[test]
    fn a_token_in_a_url_is_refused_and_not_repeated() {
        for url in [
            "libsql://db.turso.io?authToken=hush",
            "libsql://db.turso.io/?tls=1&AUTHTOKEN=hush",
            "https://db.example?jwt=hush#x",
            "https://me:hush@db.example",
            "https://hush@db.example/base",
        ] {
            let problem = Place::parse(url).unwrap_err();
            assert!(problem.contains("database.auth_token_file"), "{problem}");
            assert!(!problem.contains("hush"), "{problem}");
        }
    }
}
