-- What describes the database itself. `database` tells one database from another, and a restored
-- copy from the original, to whoever follows the change feed.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) STRICT;
INSERT INTO meta (key, value) VALUES ('database', randomblob(16));

-- One row per episode. Columns hold what is queried, the payload the whole document. The payload
-- comes last: reading the columns in front of it touches no overflow page.
-- `rid` is explicit so that neither VACUUM nor a dump can move it: the text index refers to it.
CREATE TABLE episodes (
    rid         INTEGER PRIMARY KEY,
    id          BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    project     TEXT NOT NULL,
    task_type   TEXT NOT NULL,
    domain      TEXT NOT NULL,
    language    TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    outcome     TEXT NOT NULL,
    reward      REAL,
    archived_at INTEGER,
    version     INTEGER NOT NULL,
    write_id    BLOB NOT NULL,
    step_count  INTEGER NOT NULL,
    text_bytes  INTEGER NOT NULL,
    payload     BLOB NOT NULL
) STRICT;

-- Newest first, per project, with every filter column: a filtered listing reads this index and
-- touches the wide rows of its own page only.
CREATE INDEX episodes_by_start ON episodes
    (project, started_at, id, archived_at, outcome, task_type, domain, language, reward);
CREATE INDEX episodes_by_start_of_all ON episodes (started_at, id);

-- One row per key of an episode. The value's storage class is its type: numbers, then text, then
-- booleans (the blobs 00 and 01), so that in the index each kind is one range in its own order, and
-- integers and reals are compared exactly. Project and time repeat the episode's: the newest episodes
-- with a value are the last rows of its part of the index.
CREATE TABLE episode_metadata (
    episode    INTEGER NOT NULL,
    key        TEXT NOT NULL,
    value      ANY NOT NULL,
    project    TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    PRIMARY KEY (episode, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX episode_metadata_by_value ON episode_metadata (key, value, project, started_at, episode);

-- Text is analyzed (split, stemmed) before it gets here; the tokenizer only splits at spaces.
CREATE VIRTUAL TABLE episode_text USING fts5 (
    task, context, steps, reflection,
    content = '', contentless_delete = 1,
    tokenize = "unicode61 remove_diacritics 0 categories 'L* N* Co Mn Mc'"
);
CREATE VIRTUAL TABLE episode_terms USING fts5vocab (episode_text, row);

-- Steps logged since the payload was written; `n` is the number of the first in the row.
CREATE TABLE steps (
    episode INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    count   INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (episode, n)
) STRICT;

-- Patterns and heuristics. What they are worth is derived from evidence and feedback, never counted
-- up, so that a repeated write cannot double it. Episodes are named by id, not by rid: evidence may
-- arrive before its episode does.
CREATE TABLE lessons (
    rid       INTEGER PRIMARY KEY,
    id        BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    project   TEXT NOT NULL,
    kind      TEXT NOT NULL,
    task_type TEXT NOT NULL,
    condition TEXT NOT NULL,
    action    TEXT NOT NULL
) STRICT;
CREATE INDEX lessons_by_project ON lessons (project, kind, id);

CREATE TABLE lesson_evidence (
    lesson  BLOB NOT NULL,
    episode BLOB NOT NULL,
    success INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (lesson, episode)
) STRICT, WITHOUT ROWID;
CREATE INDEX lesson_evidence_by_episode ON lesson_evidence (episode);

CREATE TABLE feedback (
    subject    BLOB NOT NULL,
    by_episode BLOB NOT NULL,
    project    TEXT NOT NULL,
    verdict    TEXT NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (subject, by_episode)
) STRICT, WITHOUT ROWID;
CREATE INDEX feedback_by_episode ON feedback (by_episode);

CREATE TABLE relations (
    from_id  BLOB NOT NULL,
    relation TEXT NOT NULL,
    to_id    BLOB NOT NULL,
    project  TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (from_id, relation, to_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX relations_by_target ON relations (to_id, relation);

CREATE TABLE tombstones (
    id      BLOB PRIMARY KEY NOT NULL,
    project TEXT NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The change feed, and the memory of which writes were applied: (id, write_id) makes a repeated
-- write a replay. AUTOINCREMENT: a number is never used twice.
CREATE TABLE changes (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     TEXT NOT NULL,
    id       BLOB NOT NULL,
    version  INTEGER,
    write_id BLOB NOT NULL,
    at       INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;
CREATE INDEX changes_by_write ON changes (id, write_id);

CREATE TABLE dictionaries (
    id    INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;
