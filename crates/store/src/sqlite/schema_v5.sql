-- Letters belong to a source, which has a quota. That of older ones is their origin without the line of
-- a file or the place in a topic.
ALTER TABLE dead_letters ADD COLUMN source TEXT NOT NULL DEFAULT '';
UPDATE dead_letters SET source = substr(CASE
    WHEN origin GLOB 'kafka:*/*[0-9]@*[0-9]'
        THEN rtrim(rtrim(rtrim(rtrim(origin, '0123456789'), '@'), '0123456789'), '/')
    WHEN origin GLOB '*:*[0-9]' AND rtrim(origin, '0123456789') GLOB '*:'
        THEN rtrim(rtrim(origin, '0123456789'), ':')
    ELSE origin END, 1, 128);
CREATE INDEX replayed_dead_letters_by_source ON dead_letters (source, id) WHERE state = 1;

-- dropped: those that were not kept, because their source had its quota.
CREATE TABLE dead_letter_sources (
    source   TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    open     INTEGER NOT NULL,
    replayed INTEGER NOT NULL,
    dropped  INTEGER NOT NULL,
    PRIMARY KEY (source, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO dead_letter_sources
    SELECT source, reason, sum(state = 0), sum(state = 1), 0 FROM dead_letters GROUP BY source, reason;
DROP TABLE dead_letter_counts;

-- What a store that could not commit writes to find out whether it can again; empty otherwise.
CREATE TABLE probe (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    content BLOB NOT NULL
) STRICT;
