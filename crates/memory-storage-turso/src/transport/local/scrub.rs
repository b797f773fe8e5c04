//! Nothing stays in a file but what is stored in it.

use std::time::{Duration, Instant};

use memory_core::{Error, Result};

use super::connection::Connection;
use super::file::DataFile;
use super::sql_error::SqlError;
use super::{LocalTransport, offload};
use crate::batch::{StatementResult, Value};

/// Between two tries while others read or write.
const PAUSE: Duration = Duration::from_millis(50);

impl LocalTransport {
    /// Writes the file anew, without free pages and without what lies between the rows, and empties
    /// its log. Needs about the size of the file twice, on disk, for a while.
    pub(crate) async fn scrub(&self) -> Result<()> {
        let file = self.file.clone();
        offload(move || {
            let mut connection = file.open_writer().map_err(|e| file.cannot_open(e))?;
            // The copy that is made on the way would not fit into memory; it holds live rows only.
            let doing = |e: SqlError| e.into_error("writing the file anew");
            connection.execute("PRAGMA temp_store = FILE").map_err(doing)?;
            patiently(&file, || connection.execute("VACUUM").map(drop)).map_err(doing)?;
            patiently(&file, || empty_log(&mut connection)).map_err(|e| match e.is_busy() {
                true => Error::Unavailable {
                    reason:
                        "another process reads the old state of the file; repeat this when it has \
                             ended"
                            .into(),
                },
                false => doing(e),
            })
        })
        .await?
    }
}

/// The log is copied into the file and cut to nothing. Fails while somebody reads an old state.
fn empty_log(connection: &mut Connection) -> Result<(), SqlError> {
    let StatementResult { rows, .. } = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")?;
    match rows.first().and_then(|row| row.first()) {
        Some(Value::Integer(0)) => Ok(()),
        _ => Err(SqlError::busy("the log is in use")),
    }
}

fn patiently(
    file: &DataFile,
    mut work: impl FnMut() -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    let deadline = Instant::now() + file.config.busy_timeout;
    loop {
        match work() {
            Err(e) if e.is_busy() && Instant::now() < deadline => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}
