//! The files of the pages.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal: $kind:expr),* $(,)?) => {
        /// Name, type and content of each.
        const ASSETS: &[(&str, &str, &str)] =
            &[$(($name, $kind, include_str!(concat!("assets/", $name)))),*];
    };
}

assets! {
    "index.html": HTML,
    "style.css": CSS,
    "icon.svg": SVG,
    "theme.js": JS,
    "api.js": JS,
    "app.js": JS,
    "dom.js": JS,
    "chart.js": JS,
    "overview.js": JS,
    "episodes.js": JS,
    "episode.js": JS,
    "recall.js": JS,
    "lessons.js": JS,
    "health.js": JS,
}

/// `GET /`.
pub(super) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

/// `GET /assets/NAME`.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers)
}

/// Asked for again each time, and answered without the content when the browser has it.
fn serve(name: &str, headers: &HeaderMap) -> Response {
    let Some((_, kind, content)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return (StatusCode::NOT_FOUND, "there is no such page\n").into_response();
    };
    let tag = format!("\"{}\"", tag(content));
    let known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == tag.as_bytes());
    let kept = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if known {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, [(header::CONTENT_TYPE, *kind)], *content).into_response()
}

/// The first 16 digits of the content's SHA-256.
fn tag(content: &str) -> String {
    Sha256::digest(content.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the policy forbids would not work; what comes from elsewhere would not be embedded.
    #[test]
    fn no_page_makes_markup_of_text_or_loads_from_elsewhere() {
        let banned = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "eval(",
            "new Function",
            "style=\"",
            "onclick=",
            "javascript:",
            "//cdn",
            "https://",
        ];
        for (name, _, content) in ASSETS {
            for word in banned {
                assert!(!content.contains(word), "{name}: {word}");
            }
            let xmlns = content.matches("http://").count();
            assert_eq!(xmlns, content.matches("http://www.w3.org/2000/svg").count(), "{name}");
        }
    }
}
