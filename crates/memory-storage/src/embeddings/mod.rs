//! Recall by meaning: vectors of episodes and of queries, made by an endpoint of the user's choice.
//!
//! Off unless an endpoint is configured, and then the only thing it sends there is text that was
//! redacted: queries, and what of finished episodes is embedded.
//!
//! - `endpoint`: texts to vectors over HTTP
//! - [`matrix`]: the vectors in memory, searched exactly
//! - `fill`: vectors of the episodes that have none, by one process at a time

mod endpoint;
mod fill;
pub mod matrix;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use memory_core::Result;
use memory_core::recall::similar::shortened;
use memory_core::recall::{Nearest, Similar, SimilarQuery};
use memory_core::redact::redact_text;
use memory_core::store::Scope;
use memory_storage_turso::vectors::VectorPosition;
use memory_storage_turso::{TokenSource, Vectors};

pub use fill::Filled;

use endpoint::{Endpoint, Problem};
use matrix::Matrix;

/// How long a recall waits for the vector of its query. The search by words takes less, so this is
/// what an endpoint that hangs costs once in [`LEFT_ALONE`].
const QUERY_WITHIN: Duration = Duration::from_millis(1500);

/// How long an endpoint that failed is not asked for queries.
const LEFT_ALONE: Duration = Duration::from_secs(3);

/// How long a recall waits for vectors to be read: a process that just started reads all of them.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// How old what was read may be.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Bytes of vectors in memory: 349,525 of 768 dimensions. The latest stay.
const MAX_MATRIX_BYTES: usize = 512 * 1024 * 1024;

/// Vectors that one search names. Words find most of what is read; these are to be known as near too.
const NEAREST: usize = 200;

/// Products from which on a search is no longer a matter of a millisecond.
const MANY_PRODUCTS: usize = 4_000_000;

/// Which endpoint makes vectors.
#[derive(Debug, Clone)]
pub struct EmbeddingsConfig {
    /// Its base, such as `http://127.0.0.1:11434/v1`.
    pub url: String,
    /// The model it is asked for; stored with every vector.
    pub model: String,
    /// The key it asks for.
    pub key: TokenSource,
    /// A PEM file of authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
}

impl EmbeddingsConfig {
    /// Checks what can be checked without asking.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](memory_core::Error::Invalid): `url` or `model`.
    pub fn validate(&self) -> Result<()> {
        endpoint::url(&self.url)?;
        if self.model.trim().is_empty() {
            let problem = "is empty; name the model that the endpoint is to use";
            return Err(memory_core::Error::invalid("model", problem));
        }
        Ok(())
    }
}

/// Recall by meaning.
#[derive(Debug)]
pub struct Embeddings {
    endpoint: Endpoint,
    model: String,
    vectors: Vectors,
    matrix: Arc<RwLock<Matrix>>,
    read: tokio::sync::Mutex<Read>,
    failed: Mutex<Option<(Instant, String)>>,
}

/// What was read of the database's vectors.
#[derive(Debug, Default)]
struct Read {
    position: VectorPosition,
    to_the_end_at: Option<Instant>,
}

impl Embeddings {
    /// On the vectors of a database. Nothing is asked of the endpoint yet.
    ///
    /// # Errors
    ///
    /// Those of [`EmbeddingsConfig::validate`]; a file of the settings cannot be read.
    pub fn new(config: &EmbeddingsConfig, vectors: Vectors) -> Result<Self> {
        config.validate()?;
        Ok(Embeddings {
            endpoint: Endpoint::new(config)?,
            model: config.model.trim().to_owned(),
            vectors,
            matrix: Arc::new(RwLock::new(Matrix::new(MAX_MATRIX_BYTES))),
            read: tokio::sync::Mutex::default(),
            failed: Mutex::new(None),
        })
    }

    /// The model that vectors are made with.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// How many episodes have a vector of the model.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn count(&self) -> Result<u64> {
        self.vectors.count(&self.model).await
    }

    /// Episodes that mean about the same, or why that cannot be told now.
    pub async fn similar(&self, query: &SimilarQuery) -> Similar {
        let (vector, read) = futures::join!(self.query_vector(&query.text), self.read_within());
        match (vector, read) {
            (Err(reason), _) | (_, Err(reason)) => Similar::Unavailable(reason),
            (Ok(vector), Ok(())) => match self.search(vector, &query.scope).await {
                Ok(nearest) => Similar::Found(nearest),
                Err(reason) => Similar::Unavailable(reason),
            },
        }
    }

    async fn query_vector(&self, text: &str) -> Result<Vec<f32>, String> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, reason)) = failed
            && at.elapsed() < LEFT_ALONE
        {
            return Err(reason);
        }
        let text = vec![shortened(redact_text(text).into_owned())];
        let answer = self.endpoint.embed(&text, QUERY_WITHIN).await;
        let failed = match &answer {
            // That was about this query alone.
            Ok(_) | Err(Problem::Texts(_)) => None,
            Err(problem) => Some((Instant::now(), problem.text().into())),
        };
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        match answer {
            Ok(vectors) => vectors.into_iter().next().ok_or_else(|| "no answer".into()),
            Err(problem) => Err(problem.text().to_owned()),
        }
    }

    async fn read_within(&self) -> Result<(), String> {
        match tokio::time::timeout(READ_WITHIN, self.read_news()).await {
            Ok(Ok(())) => Ok(()),
            // What was read before is better than nothing; what is gone is not read by its id.
            _ if !self.lock_matrix().is_empty() => Ok(()),
            Ok(Err(e)) => Err(format!("the vectors cannot be read: {e}")),
            Err(_) => Err("the vectors are still being read".into()),
        }
    }

    /// Reads what is new of the vectors, unless that was done just now. Ended early, it goes on from
    /// there the next time.
    pub async fn read_news(&self) -> Result<()> {
        let mut read = self.read.lock().await;
        if read.to_the_end_at.is_some_and(|at| at.elapsed() < READ_AGAIN_AFTER) {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let news = self.vectors.news(&self.model, &read.position).await?;
            let mut matrix = self.matrix.write().unwrap_or_else(PoisonError::into_inner);
            if news.restarted {
                matrix.clear();
            }
            news.gone.iter().for_each(|gone| matrix.remove(*gone));
            let left_out = news.added.iter().filter(|added| !matrix.put(added)).count();
            if left_out > 0 {
                tracing::warn!(left_out, "vectors have another length than those before them");
            }
            matrix.shrink();
            drop(matrix);
            read.position = news.position;
            if !news.more {
                read.to_the_end_at = Some(began);
                return Ok(());
            }
        }
    }

    async fn search(&self, vector: Vec<f32>, scope: &Scope) -> Result<Nearest, String> {
        let (length, dimensions) = {
            let matrix = self.lock_matrix();
            (matrix.len(), matrix.dimensions())
        };
        if length == 0 {
            return Err(format!(
                "no episode has an embedding of {} yet (`memory-mcp embed`)",
                self.model
            ));
        }
        if dimensions != vector.len() {
            let given = vector.len();
            return Err(format!(
                "{} gives {given} dimensions, the stored embeddings have {dimensions}",
                self.model
            ));
        }
        let project = match scope {
            Scope::All => None,
            Scope::Project(project) => Some(project.clone()),
        };
        let matrix = self.matrix.clone();
        let search = move || {
            let matrix = matrix.read().unwrap_or_else(PoisonError::into_inner);
            matrix.nearest(&vector, project.as_deref(), NEAREST)
        };
        if length * dimensions < MANY_PRODUCTS {
            return Ok(search());
        }
        tokio::task::spawn_blocking(search).await.map_err(|e| e.to_string())
    }

    fn lock_matrix(&self) -> std::sync::RwLockReadGuard<'_, Matrix> {
        self.matrix.read().unwrap_or_else(PoisonError::into_inner)
    }
}
