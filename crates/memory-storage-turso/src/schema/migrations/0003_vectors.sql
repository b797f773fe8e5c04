-- What an embedding model made of episodes: derived, so it is neither exported nor ever the only copy.
-- `version` is the episode's that it was made of. `vector` is of unit length, each component a
-- little-endian bfloat16. `n` grows with every vector written, so that a process finds out what is new.
CREATE TABLE vectors (
    n       INTEGER PRIMARY KEY AUTOINCREMENT,
    episode INTEGER NOT NULL UNIQUE,
    model   TEXT NOT NULL,
    version INTEGER NOT NULL,
    vector  BLOB NOT NULL
) STRICT;
