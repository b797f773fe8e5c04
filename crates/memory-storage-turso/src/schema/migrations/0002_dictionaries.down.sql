DROP TABLE leases;
DROP TABLE dictionaries;
CREATE TABLE dictionaries (
    id    INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;
