//! Which hosts and origins may call.
//!
//! A web page can make a browser send requests to a server on the same machine, also by a name of
//! its own that resolves to the loopback address (DNS rebinding). So `Host` must be one of the names
//! of this server, and `Origin`, which browsers add, must be this server's own or a listed one.

use axum::http::{HeaderMap, Uri, header};

/// Hosts and origins that may call, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Names without ports.
    hosts: Vec<String>,
    /// `scheme://host`, with `:port` unless it is the scheme's own.
    origins: Vec<String>,
}

/// The names of this machine for itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl Allowed {
    /// Loopback, and what two lists with commas between name. The error is the end of a sentence:
    /// which entry is wrong, and why.
    pub fn parse(hosts: &str, origins: &str) -> Result<Self, String> {
        let mut allowed =
            Allowed { hosts: LOOPBACK.map(str::to_owned).to_vec(), origins: Vec::new() };
        for host in entries(hosts) {
            match host.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned()) {
                Some(name) if name.port().is_none() && name.as_str() == host => {
                    allowed.hosts.push(host);
                }
                _ => return Err(format!("names \"{host}\", which is no host name")),
            }
        }
        for origin in entries(origins) {
            match normal_origin(&origin) {
                Some(normal) => allowed.origins.push(normal),
                None => return Err(format!("names \"{origin}\"; write it as https://host[:port]")),
            }
        }
        Ok(allowed)
    }

    /// Whether a request may go on. The error says what to do.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let host = single(headers, header::HOST)?.ok_or("the request has no Host")?;
        let authority = host.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned());
        let named = authority.map(|a| a.host().to_ascii_lowercase()).unwrap_or_default();
        if !self.hosts.contains(&named) {
            return Err("this server has no such name; list it in the setting http.allowed_hosts");
        }
        match single(headers, header::ORIGIN)? {
            None => Ok(()),
            Some(origin) if self.knows(&origin.to_ascii_lowercase(), &host) => Ok(()),
            Some(_) => Err("pages of this origin may not call; see http.allowed_origins"),
        }
    }

    /// A page of this server itself, or of a listed origin.
    fn knows(&self, origin: &str, host: &str) -> bool {
        let Some(normal) = normal_origin(origin) else { return false };
        let own = ["http", "https"].map(|scheme| normal_origin(&format!("{scheme}://{host}")));
        own.contains(&Some(normal.clone())) || self.origins.contains(&normal)
    }
}

/// The header as lower-case text, if there is one; two of it are an error.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<String>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err("the request has two of a header that may be there once");
    }
    first
        .map(|value| value.to_str().map(str::to_ascii_lowercase))
        .transpose()
        .map_err(|_| "the request has a header that is no text")
}

fn entries(list: &str) -> impl Iterator<Item = String> {
    list.split(',').map(str::trim).filter(|e| !e.is_empty()).map(str::to_ascii_lowercase)
}

/// `scheme://host[:port]` without the port that goes without saying.
fn normal_origin(origin: &str) -> Option<String> {
    let (scheme, rest) = origin.split_once("://")?;
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.parse::<Uri>().ok()?.authority().cloned()?;
    if authority.as_str() != rest || rest.contains('@') {
        return None;
    }
    Some(match authority.port_u16() {
        Some(port) if port != usual => format!("{scheme}://{}:{port}", authority.host()),
        _ => format!("{scheme}://{}", authority.host()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: &Allowed, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        allowed.check(&headers).is_ok()
    }

    #[test]
    fn only_names_of_this_server_and_its_own_pages_may_call() {
        let local = Allowed::parse("", "").unwrap();
        for (host, origin) in [
            ("localhost:8420", None),
            ("LOCALHOST", None),
            ("127.0.0.1:1", None),
            ("[::1]:8420", None),
            ("localhost:8420", Some("http://localhost:8420")),
        ] {
            assert!(check(&local, host, origin), "{host} {origin:?}");
        }
        for (host, origin) in [
            ("evil.example", None),
            ("evil.example:8420", Some("http://evil.example:8420")),
            ("localhost.evil.example", None),
            ("localhost:8420", Some("http://localhost:8421")),
            ("localhost:8420", Some("http://evil.example")),
            ("localhost:8420", Some("null")),
            ("localhost:8420", Some("http://localhost:8420@evil.example")),
            ("", None),
        ] {
            assert!(!check(&local, host, origin), "{host} {origin:?}");
        }
        assert!(local.check(&HeaderMap::new()).is_err());
        let mut twice = HeaderMap::new();
        twice.append(header::HOST, "localhost".parse().unwrap());
        twice.append(header::HOST, "localhost".parse().unwrap());
        assert!(local.check(&twice).is_err());
    }

    #[test]
    fn listed_hosts_and_origins_may_call() {
        let listed = Allowed::parse("memory.example, 10.0.0.7", "https://app.example:443").unwrap();
        assert!(check(&listed, "Memory.Example:8420", None));
        assert!(check(&listed, "10.0.0.7:8420", Some("https://app.example")));
        assert!(!check(&listed, "10.0.0.7:8420", Some("http://app.example")));
        for (hosts, origins) in [("a b", ""), ("host:80", ""), ("", "app.example"), ("", "x://y")] {
            assert!(Allowed::parse(hosts, origins).is_err(), "{hosts} {origins}");
        }
    }
}
