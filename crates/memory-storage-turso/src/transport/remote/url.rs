//! Where a database is, as users write it.

use std::fmt;

use memory_core::error::excerpt;
use memory_core::{Error, Result};
use reqwest::Url;

use super::config::Secret;

/// `libsql://host`, `https://host` or, without TLS, `http://host:port`. An `authToken` in its query
/// is taken for the token. Shows nothing but the scheme and the host.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl<T: Into<String>> From<T> for DatabaseUrl {
    fn from(url: T) -> Self {
        DatabaseUrl(url.into())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.endpoint() {
            Ok((url, _)) => f.write_str(&url.origin().ascii_serialization()),
            Err(_) => f.write_str("(not a database URL)"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl DatabaseUrl {
    /// The URL without its token, and the token that was in it.
    pub(super) fn endpoint(&self) -> Result<(Url, Option<Secret>)> {
        // Neither the URL nor the parser's words: a token could be in either.
        let bad = |problem: &str| Error::invalid("database URL", problem.to_owned());
        let mut url = Url::parse(self.0.trim())
            .map_err(|e| bad(&format!("{e}; write it like libsql://name.turso.io")))?;
        let scheme = match url.scheme() {
            "libsql" | "https" | "wss" => "https",
            "http" | "ws" => "http",
            other => {
                let shown = excerpt(other);
                return Err(bad(&format!("the scheme {shown:?} is none of libsql, https, http")));
            }
        };
        let token = url
            .query_pairs()
            .find(|(key, _)| key == "authToken")
            .map(|(_, token)| Secret::new(token));
        let rest = url.as_str().split_once(':').map(|(_, rest)| rest.to_owned());
        url = Url::parse(&format!("{scheme}:{}", rest.unwrap_or_default()))
            .map_err(|e| bad(&e.to_string()))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(bad("names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("holds a user name or password; set a token instead"));
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok((url, token))
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{RemoteConfig, TokenSource};
    use super::*;

    fn endpoint(url: &str) -> Result<String> {
        DatabaseUrl::from(url).endpoint().map(|(url, _)| url.to_string())
    }

    #[test]
    fn every_usual_form_of_a_url_is_understood() {
        assert_eq!(endpoint("libsql://db-me.turso.io").unwrap(), "https://db-me.turso.io/");
        assert_eq!(endpoint("wss://db.example:9000").unwrap(), "https://db.example:9000/");
        assert_eq!(endpoint("https://host/base/").unwrap(), "https://host/base/");
        assert_eq!(endpoint(" http://127.0.0.1:8080 ").unwrap(), "http://127.0.0.1:8080/");
        assert_eq!(endpoint("libsql://host:8080?tls=0").unwrap(), "https://host:8080/");
        for bad in ["", "host", "file:memory.db", "ftp://host", "libsql://", "http://me:pw@host"] {
            assert!(matches!(endpoint(bad), Err(Error::Invalid { .. })), "{bad}");
        }
    }

    #[test]
    fn token_in_the_url_is_taken_out_and_never_shown() {
        let config = RemoteConfig {
            token: TokenSource::Fixed(Secret::new("hush-1")),
            ..RemoteConfig::at("libsql://host?authToken=hush-2")
        };
        let (url, token) = config.url.endpoint().unwrap();
        assert_eq!(url.as_str(), "https://host/");
        assert_eq!(token.as_ref().map(Secret::expose), Some("hush-2"));
        let shown = format!("{config:?} {token:?} {url}");
        assert!(!shown.contains("hush"), "{shown}");
    }
}
