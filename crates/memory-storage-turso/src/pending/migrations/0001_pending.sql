-- The databases that something waits for. The id tells one database from another behind the same
-- URL; NULL until the first contact.
CREATE TABLE targets (
    id       INTEGER PRIMARY KEY,
    url      TEXT NOT NULL,
    database BLOB,
    used_at  INTEGER NOT NULL,
    UNIQUE (url, database)
) STRICT;

-- Writes in the order in which they were accepted. `first` and `steps` say which steps an entry
-- brings, `text_bytes` how large they are, `bytes` how large the payload is. `delivered` ones have
-- no payload; they stay for a while so that a repeated write is recognised.
CREATE TABLE entries (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    target     INTEGER NOT NULL,
    episode    BLOB,
    write_id   BLOB NOT NULL,
    state      TEXT NOT NULL,
    first      INTEGER NOT NULL,
    steps      INTEGER NOT NULL,
    text_bytes INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    error      TEXT,
    payload    BLOB NOT NULL,
    UNIQUE (target, write_id)
) STRICT;
CREATE INDEX entries_waiting ON entries (target, episode, seq)
    WHERE state IN ('journaled', 'queued');
CREATE INDEX entries_by_state ON entries (state, bytes);

-- What the database is known to hold of the running episodes whose steps are journaled here: what
-- the next step's number follows from. No steps are journaled until `closed_until`, because a
-- completion is under way or done.
CREATE TABLE heads (
    target       INTEGER NOT NULL,
    episode      BLOB NOT NULL,
    version      INTEGER NOT NULL,
    steps        INTEGER NOT NULL,
    text_bytes   INTEGER NOT NULL,
    closed_until INTEGER NOT NULL DEFAULT 0,
    at           INTEGER NOT NULL,
    PRIMARY KEY (target, episode)
) STRICT, WITHOUT ROWID;

-- Which process delivers, and until when it may.
CREATE TABLE leases (
    target INTEGER PRIMARY KEY,
    holder BLOB NOT NULL,
    until  INTEGER NOT NULL
) STRICT;
