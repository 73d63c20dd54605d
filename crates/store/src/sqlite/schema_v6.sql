-- Jobs. state: 0 queued, 1 running, 2 succeeded, 3 failed, 4 cancelled. A wait counts from queued_at, a lease
-- from leased_at: a clock that goes back is seen by them. lines: how many lines its log has had.
CREATE TABLE jobs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT    NOT NULL,
    state        INTEGER NOT NULL,
    priority     INTEGER NOT NULL,
    run_at       INTEGER NOT NULL,
    queued_at    INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    lost_leases  INTEGER NOT NULL,
    leased_at    INTEGER,
    lease_until  INTEGER,
    worker       TEXT,
    cancel       INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    submitted_by TEXT    NOT NULL,
    key          TEXT,
    lines        INTEGER NOT NULL,
    error        TEXT,
    progress     TEXT,
    payload      TEXT    NOT NULL,
    result       TEXT
) STRICT;
CREATE UNIQUE INDEX jobs_by_key ON jobs (key) WHERE key IS NOT NULL;
-- In the order in which they are taken.
CREATE INDEX queued_jobs ON jobs (kind, priority DESC, run_at, id) WHERE state = 0;
CREATE INDEX queued_jobs_by_time ON jobs (queued_at) WHERE state = 0;
CREATE INDEX running_jobs ON jobs (lease_until) WHERE state = 1;
CREATE INDEX running_jobs_by_time ON jobs (leased_at) WHERE state = 1;
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_kind ON jobs (kind);
CREATE INDEX jobs_by_state_and_kind ON jobs (state, kind);

CREATE TABLE job_lines (
    job_id  INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    text    TEXT    NOT NULL,
    PRIMARY KEY (job_id, number)
) STRICT, WITHOUT ROWID;

-- The registry. versions: the number of the newest.
CREATE TABLE models (
    name     TEXT PRIMARY KEY,
    versions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What versions are found by; what they are beside it, so that a list and a search read little.
CREATE TABLE model_versions (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    archived_at INTEGER,
    search      TEXT    NOT NULL,
    UNIQUE (name, version)
) STRICT;
CREATE INDEX model_versions_by_name ON model_versions (name);

CREATE TABLE model_version_details (
    id           INTEGER PRIMARY KEY,
    reference    TEXT    NOT NULL,
    created_by   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    note         TEXT    NOT NULL,
    job          INTEGER,
    archived_by  TEXT,
    archived_why TEXT,
    lineage      TEXT    NOT NULL,
    measures     TEXT    NOT NULL,
    artefacts    TEXT    NOT NULL
) STRICT;

CREATE TABLE aliases (
    name    TEXT    NOT NULL,
    alias   TEXT    NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (name, alias)
) STRICT, WITHOUT ROWID;

CREATE TABLE alias_moves (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    alias        TEXT    NOT NULL,
    from_version INTEGER,
    to_version   INTEGER,
    at           INTEGER NOT NULL,
    moved_by     TEXT    NOT NULL,
    why          TEXT    NOT NULL,
    job          INTEGER
) STRICT;
CREATE INDEX alias_moves_by_time ON alias_moves (name, alias, at);
CREATE TRIGGER alias_moves_refuse_update BEFORE UPDATE ON alias_moves
BEGIN SELECT RAISE(ABORT, 'the history of aliases is append-only'); END;
CREATE TRIGGER alias_moves_refuse_delete BEFORE DELETE ON alias_moves
BEGIN SELECT RAISE(ABORT, 'the history of aliases is append-only'); END;

CREATE TABLE verdicts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    champion     INTEGER,
    promoted     INTEGER NOT NULL,
    budget_spent REAL    NOT NULL,
    tries        INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    version      INTEGER,
    job          INTEGER,
    words        TEXT    NOT NULL,
    numbers      TEXT    NOT NULL
) STRICT;
CREATE INDEX verdicts_by_name ON verdicts (name);
CREATE INDEX verdicts_by_time ON verdicts (name, at, budget_spent);
CREATE TRIGGER verdicts_refuse_update BEFORE UPDATE ON verdicts
BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;
CREATE TRIGGER verdicts_refuse_delete BEFORE DELETE ON verdicts
BEGIN SELECT RAISE(ABORT, 'verdicts are append-only'); END;

-- Messages to others. state: 0 waiting, 1 delivered, 2 given up. The wait for retry_at counts from failed_at.
CREATE TABLE outbox (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    topic     TEXT    NOT NULL,
    state     INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    queued_at INTEGER NOT NULL,
    failures  INTEGER NOT NULL,
    failed_at INTEGER,
    retry_at  INTEGER,
    error     TEXT,
    payload   TEXT    NOT NULL,
    UNIQUE (topic, key)
) STRICT;
CREATE INDEX outbox_by_state ON outbox (topic, state);

-- Who delivers a topic.
CREATE TABLE outbox_claims (
    topic         TEXT PRIMARY KEY,
    claimed_by    TEXT    NOT NULL,
    claimed_at    INTEGER NOT NULL,
    claimed_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
