//! The tables of a cache file and the rows in them, each with its checksum.

use memory_core::EpisodeId;
use memory_core::store::Watermark;
use memory_core::{Error, WriteId};
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};

use crate::history;
use crate::stored::{self, FORMAT};

/// Episodes, as [`stored::encode_episode`] writes them.
pub(super) const EPISODES: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("episodes");

/// One small row per episode, so that opening does not read the episodes.
pub(super) const CATALOGUE: TableDefinition<'_, &[u8; 16], &[u8]> =
    TableDefinition::new("catalogue");

/// Single records.
pub(super) const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");

pub(super) const FORMAT_KEY: &str = "format";
pub(super) const WATERMARK_KEY: &str = "watermark";
pub(super) const HISTORY_KEY: &str = "history";

/// What is wrong with a cache file.
#[derive(Debug)]
pub(super) enum Fault {
    /// It is not what was written, or not ours to read: set it aside.
    Damaged(String),
    /// The disk or the rights: the file may be all right.
    Io(String),
}

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Fault::Damaged(e.to_string())
    }
}

impl From<redb::Error> for Fault {
    fn from(e: redb::Error) -> Self {
        match e {
            redb::Error::Io(e) if e.kind() != std::io::ErrorKind::InvalidData => {
                Fault::Io(e.to_string())
            }
            e @ (redb::Error::PreviousIo | redb::Error::DatabaseClosed) => Fault::Io(e.to_string()),
            e => Fault::Damaged(e.to_string()),
        }
    }
}

macro_rules! faults {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for Fault {
            fn from(e: redb::$error) -> Self {
                redb::Error::from(e).into()
            }
        }
    )*};
}

faults!(StorageError, TableError, TransactionError, CommitError, DatabaseError, CompactionError);
faults!(SetDurabilityError);

/// The last change that everything in the file takes into account.
pub(super) fn encode_watermark(w: &Watermark) -> Result<Vec<u8>, Error> {
    stored::encode(&(w.database, w.seq, w.write_id))
}

fn decode_watermark(bytes: &[u8]) -> Result<Watermark, Error> {
    let (database, seq, write_id): ([u8; 16], u64, Option<WriteId>) =
        stored::decode(&"the watermark of the cache", bytes)?;
    Ok(Watermark { database, seq, write_id })
}

/// What the index knows of a stored episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Of this writing; higher than that of every earlier one in the file.
    pub(super) stamp: u64,
    pub(super) version: u64,
    /// Bytes of allocated pages.
    pub(super) bytes: u64,
    /// Its place among everything queued by this process; 0: it was in the file already. Not stored.
    pub(super) ticket: u64,
}

impl crate::index::Weighed for Slot {
    fn weight(&self) -> u64 {
        self.bytes
    }
}

impl Slot {
    /// The id goes in too: a row that turns up under another key is damage.
    pub(super) fn encode(&self, id: EpisodeId) -> Result<Vec<u8>, Error> {
        stored::encode(&(id, self.stamp, self.version, self.bytes))
    }

    fn decode(id: EpisodeId, bytes: &[u8]) -> Result<Self, Error> {
        let thing = "the catalogue of the cache";
        let (own, stamp, version, bytes): (EpisodeId, u64, u64, u64) =
            stored::decode(&thing, bytes)?;
        if own != id {
            let problem = format!("the row of episode {id} is that of {own}");
            return Err(memory_core::envelope::damaged(&thing, problem));
        }
        Ok(Slot { stamp, version, bytes, ticket: 0 })
    }
}

/// What a file holds, apart from the episodes themselves.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) slots: Vec<(EpisodeId, Slot)>,
    pub(super) watermark: Option<Watermark>,
    pub(super) history: history::Stored,
}

/// Reads what a file holds, having checked that it is one of this format; a new file becomes one.
pub(super) fn load(db: &redb::Database) -> Result<Contents, Fault> {
    let read = db.begin_read()?;
    if read.list_tables()?.next().is_none() {
        drop(read);
        initialise(db)?;
        return Ok(Contents::default());
    }
    let records = read.open_table(RECORDS)?;
    let format = records.get(FORMAT_KEY)?;
    let format = format.ok_or_else(|| Fault::Damaged("it does not say its format".into()))?;
    let format: u32 = stored::decode(&"the format of the cache", format.value())?;
    if format != FORMAT {
        return Err(Fault::Damaged(format!("it has format {format}, this build writes {FORMAT}")));
    }
    let mut contents = Contents::default();
    if let Some(watermark) = records.get(WATERMARK_KEY)? {
        contents.watermark = Some(decode_watermark(watermark.value())?);
    }
    if let Some(history) = records.get(HISTORY_KEY)? {
        contents.history = stored::decode(&"the history of the cache", history.value())?;
    }
    let catalogue = read.open_table(CATALOGUE)?;
    for row in catalogue.iter()? {
        let (key, value) = row?;
        let id = EpisodeId::from_bytes(*key.value());
        contents.slots.push((id, Slot::decode(id, value.value())?));
    }
    let episodes = read.open_table(EPISODES)?.len()?;
    if episodes != contents.slots.len() as u64 {
        let listed = contents.slots.len();
        let problem = format!("its catalogue lists {listed} episodes, it holds {episodes}");
        return Err(Fault::Damaged(problem));
    }
    Ok(contents)
}

fn initialise(db: &redb::Database) -> Result<(), Fault> {
    let write = db.begin_write()?;
    write.open_table(EPISODES)?;
    write.open_table(CATALOGUE)?;
    write.open_table(RECORDS)?.insert(FORMAT_KEY, stored::encode(&FORMAT)?.as_slice())?;
    write.commit()?;
    Ok(())
}
