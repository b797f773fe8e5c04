//! Who is logged in to the dashboard.
//!
//! The cookie holds no token but a random value of its own: browsers send cookies to every port of a
//! host, and whoever listens on another one must not learn what opens `/mcp`.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, header};

use super::tokens::{Digested, digest, random_text};

/// How long a login lasts that nobody uses.
const IDLE: Duration = Duration::from_secs(12 * 3600);

/// Logins at a time; the one unused for longest makes room.
const MOST: usize = 1000;

struct Session {
    /// Of the cookie's value.
    id: Digested,
    /// Of the token that it was begun with, which must still be good.
    token: Digested,
    used: Instant,
}

/// Logins, the one unused for longest first. They end with the process.
pub(super) struct Sessions {
    cookie: String,
    open: Mutex<VecDeque<Session>>,
}

impl Sessions {
    /// Of a server that listens on `port`: servers on other ports of this host have cookies of their own.
    pub(super) fn new(port: u16) -> Self {
        Sessions { cookie: format!("memory_mcp_{port}"), open: Mutex::default() }
    }

    /// Begins one for the holder of a token; the header that hands it to the browser.
    pub(super) fn begin(&self, token: Digested, secure: bool) -> io::Result<HeaderValue> {
        let value = random_text()?;
        let session = Session { id: digest(&value), token, used: Instant::now() };
        let mut open = self.lock();
        if open.len() >= MOST {
            open.pop_front();
        }
        open.push_back(session);
        drop(open);
        self.header(&value, IDLE.as_secs(), secure).map_err(io::Error::other)
    }

    /// The digest of the token that the request's login was begun with.
    pub(super) fn token(&self, headers: &HeaderMap) -> Option<Digested> {
        let id = digest(self.value(headers)?);
        let mut open = self.lock();
        open.retain(|session| session.used.elapsed() < IDLE);
        let at = open.iter().position(|session| session.id == id)?;
        let mut session = open.remove(at)?;
        session.used = Instant::now();
        let token = session.token.clone();
        open.push_back(session);
        Some(token)
    }

    /// Ends the request's login; the header that takes the cookie back.
    pub(super) fn end(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if let Some(value) = self.value(headers) {
            let id = digest(value);
            self.lock().retain(|session| session.id != id);
        }
        self.header("", 0, false).ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn value<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).map(str::trim);
        pairs.find_map(|pair| pair.strip_prefix(self.cookie.as_str())?.strip_prefix('='))
    }

    fn header(
        &self,
        value: &str,
        seconds: u64,
        secure: bool,
    ) -> Result<HeaderValue, axum::http::header::InvalidHeaderValue> {
        let secure = if secure { "; Secure" } else { "" };
        let cookie = &self.cookie;
        HeaderValue::from_str(&format!(
            "{cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())])
    }

    #[test]
    fn a_login_is_known_by_its_cookie_until_it_ends() {
        let sessions = Sessions::new(8420);
        let set = sessions.begin("token".into(), true).unwrap();
        let set = set.to_str().unwrap();
        assert!(set.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{set}");
        let pair = set.split(';').next().unwrap();
        assert_eq!(sessions.token(&request(pair)).as_deref(), Some("token"));
        assert_eq!(sessions.token(&request(&format!("a=b; {pair}"))).as_deref(), Some("token"));
        let truncated = &pair[..pair.len() - 1];
        let other_port = pair.replace("8420", "8421");
        for wrong in ["", "memory_mcp_8420=", truncated, &other_port, "memory_mcp_8420=token"] {
            assert_eq!(sessions.token(&request(wrong)), None, "{wrong}");
        }
        let taken_back = sessions.end(&request(pair)).unwrap();
        assert!(taken_back.to_str().unwrap().contains("Max-Age=0"));
        assert_eq!(sessions.token(&request(pair)), None);
    }

    #[test]
    fn logins_are_bounded() {
        let sessions = Sessions::new(1);
        let first = sessions.begin("first".into(), false).unwrap();
        for _ in 0..MOST {
            sessions.begin("other".into(), false).unwrap();
        }
        let pair = first.to_str().unwrap().split(';').next().unwrap();
        assert_eq!(sessions.token(&request(pair)), None);
        assert_eq!(sessions.lock().len(), MOST);
    }
}
