-- Dictionaries that payloads are compressed with. One holds verbatim text of episodes, so it belongs
-- to the project it was trained on, and goes when that text has to go. `id` is what a payload names
-- it by: bytes 4 to 8 of its header, made of the content. A retired one is still read with and no
-- longer written with. Nothing was ever stored in the table that this replaces.
DROP TABLE dictionaries;
CREATE TABLE dictionaries (
    n        INTEGER PRIMARY KEY AUTOINCREMENT,
    id       BLOB NOT NULL UNIQUE CHECK (length(id) = 4),
    project  TEXT NOT NULL,
    episodes INTEGER NOT NULL,
    retired  INTEGER NOT NULL DEFAULT 0,
    made_at  INTEGER NOT NULL DEFAULT (unixepoch()),
    bytes    BLOB NOT NULL
) STRICT;
CREATE INDEX dictionaries_by_project ON dictionaries (project, n);

-- Work that one process at a time does for all, until a time by the database's clock.
CREATE TABLE leases (
    name   TEXT PRIMARY KEY NOT NULL,
    holder BLOB NOT NULL,
    until  INTEGER NOT NULL
) STRICT;
