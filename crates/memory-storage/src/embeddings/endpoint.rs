//! The endpoint that makes vectors of texts: any that speaks OpenAI's `POST /embeddings`.

use std::time::Duration;

use memory_core::error::excerpt;
use memory_core::{Error, Result};
use memory_storage_turso::{Token, tls_config};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize};

use super::EmbeddingsConfig;
use super::matrix::normalized;

/// What an answer may be long: 16 texts of 4,096 components are about 1.5 MB.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// How long opening a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// What went wrong, by what helps.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    /// It cannot be reached, is overloaded or answers something else: later, perhaps.
    Down(String),
    /// It refuses who asks or what for: the settings are wrong.
    Refused(String),
    /// It refuses these texts.
    Texts(String),
}

impl Problem {
    pub(super) fn text(&self) -> &str {
        match self {
            Problem::Down(text) | Problem::Refused(text) | Problem::Texts(text) => text,
        }
    }
}

/// Sends texts.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: Url,
    model: String,
    key: Token,
    client: Client,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [String],
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Embedding>,
}

#[derive(Deserialize)]
struct Embedding {
    embedding: Vec<f32>,
    index: Option<usize>,
}

impl Endpoint {
    pub(super) fn new(config: &EmbeddingsConfig) -> Result<Self> {
        let url = url(&config.url)?;
        let tls = tls_config(url.scheme() == "https", config.ca_file.as_deref())?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECT_WITHIN)
            // A key is for this server, not for where it may point.
            .redirect(redirect::Policy::none())
            // Settings come from the configuration, not from the environment.
            .no_proxy()
            .build()
            .map_err(|e| Error::Refused {
                problem: format!("the HTTP client cannot be set up: {e}"),
                hint: "check the TLS settings".into(),
            })?;
        let key = Token::new(&config.key, None)?;
        Ok(Endpoint { url, model: config.model.clone(), key, client })
    }

    /// Vectors of unit length, one for each text.
    pub(super) async fn embed(
        &self,
        texts: &[String],
        within: Duration,
    ) -> Result<Vec<Vec<f32>>, Problem> {
        match tokio::time::timeout(within, self.ask(texts)).await {
            Ok(answer) => answer,
            Err(_) => {
                let ms = within.as_millis();
                Err(Problem::Down(format!("{} did not answer within {ms} ms", self.url)))
            }
        }
    }

    async fn ask(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Problem> {
        let body = serde_json::to_vec(&Request { model: &self.model, input: texts })
            .map_err(|e| Problem::Texts(e.to_string()))?;
        let mut request =
            self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(key) = self.key.header().map_err(|e| Problem::Refused(e.to_string()))? {
            request = request.header(AUTHORIZATION, key);
        }
        let answer = request.body(body).send().await.map_err(|e| self.unreachable(&e))?;
        let status = answer.status();
        let bytes = self.read(answer).await?;
        if status != StatusCode::OK {
            return Err(self.refusal(status, &bytes));
        }
        let answer: Answer = serde_json::from_slice(&bytes)
            .map_err(|e| self.strange(format!("is no list of embeddings ({e})")))?;
        self.in_order(answer, texts.len())
    }

    async fn read(&self, mut answer: reqwest::Response) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.unreachable(&e))? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.strange(format!("is over {MAX_ANSWER_BYTES} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn in_order(&self, mut answer: Answer, expected: usize) -> Result<Vec<Vec<f32>>, Problem> {
        if answer.data.len() != expected {
            let got = answer.data.len();
            return Err(self.strange(format!("has {got} embeddings for {expected} texts")));
        }
        answer.data.sort_by_key(|embedding| embedding.index);
        let vectors = answer.data.iter().map(|embedding| {
            normalized(&embedding.embedding)
                .ok_or_else(|| self.strange("has an embedding without a direction".into()))
        });
        vectors.collect()
    }

    fn unreachable(&self, e: &reqwest::Error) -> Problem {
        let mut cause: &dyn std::error::Error = e;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Problem::Down(format!("{} cannot be reached ({cause})", self.url))
    }

    fn strange(&self, what: String) -> Problem {
        Problem::Down(format!("the answer of {} {what}", self.url))
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Problem {
        // What the server says of it is worth a line; the body may hold the text again.
        let said = excerpt(&String::from_utf8_lossy(body.get(..200).unwrap_or(body)));
        let text = format!("{} answers {}: {said}", self.url, status.as_u16());
        match status.as_u16() {
            400 | 413 | 422 => Problem::Texts(text),
            401 | 403 | 404 | 405 => Problem::Refused(text),
            _ => Problem::Down(text),
        }
    }
}

/// Where to post to: the base as providers give it, or the whole path.
pub(super) fn url(base: &str) -> Result<Url> {
    let problem = |problem: String| Error::invalid("url", problem);
    let mut url =
        Url::parse(base).map_err(|e| problem(format!("is \"{}\": {e}", excerpt(base))))?;
    if !matches!(url.scheme(), "http" | "https") {
        let text = format!("is \"{}\"; it begins with http:// or https://", excerpt(base));
        return Err(problem(text));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        let text = "holds a user, a password or a query, which others could read there; set \
            MEMORY_MCP_EMBEDDINGS_API_KEY or embeddings.api_key_file instead";
        return Err(problem(text.into()));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with("/embeddings") {
        url.set_path(&format!("{path}/embeddings"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_and_a_whole_path_are_the_same_endpoint() {
        let of = |base: &str| url(base).unwrap().to_string();
        for base in ["http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/"] {
            assert_eq!(of(base), "http://127.0.0.1:11434/v1/embeddings");
        }
        assert_eq!(of("https://api.example/v1/embeddings"), "https://api.example/v1/embeddings");
        assert_eq!(of("http://localhost:80"), "http://localhost/embeddings");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_and_no_secret_is_repeated() {
        for wrong in ["localhost:11434", "ftp://host/v1", "", "https://me:hush@host/v1"] {
            let problem = url(wrong).unwrap_err().to_string();
            assert!(problem.starts_with("url: ") && !problem.contains("hush"), "{problem}");
        }
        assert!(url("https://host/v1?key=hush").is_err());
    }
}
