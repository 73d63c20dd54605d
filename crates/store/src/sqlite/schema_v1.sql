-- Version 1. Times are microseconds since 1970 UTC; intervals are their length in seconds.

-- One row per symbol with its latest state, so that pages need not look through the ticks.
CREATE TABLE symbols (
    id            INTEGER PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    -- Which intervals have bars: bit i is the i-th shortest interval.
    intervals     INTEGER NOT NULL DEFAULT 0,
    -- The tick with the greatest key; all NULL while there is none.
    tick_ts       INTEGER,
    tick_seq      INTEGER,
    tick_price    REAL,
    tick_size     REAL,
    -- The greatest position of any tick of the symbol; 0 while there is none.
    tick_position INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The rowid is the position in the order of storage.
CREATE TABLE ticks (
    position  INTEGER PRIMARY KEY,
    symbol_id INTEGER NOT NULL,
    ts        INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    price     REAL    NOT NULL,
    size      REAL    NOT NULL,
    UNIQUE (symbol_id, ts, seq)
) STRICT;

-- Which runs of 256 positions hold ticks of a symbol: finds a symbol's ticks in the order of
-- storage at a fraction of the cost of an index over every tick.
CREATE TABLE tick_pages (
    symbol_id INTEGER NOT NULL,
    page      INTEGER NOT NULL,
    PRIMARY KEY (symbol_id, page)
) STRICT, WITHOUT ROWID;

-- trades = 0 marks a bar that came as a bar.
CREATE TABLE bars (
    symbol_id INTEGER NOT NULL,
    interval  INTEGER NOT NULL,
    start     INTEGER NOT NULL,
    open      REAL    NOT NULL,
    high      REAL    NOT NULL,
    low       REAL    NOT NULL,
    close     REAL    NOT NULL,
    volume    REAL    NOT NULL,
    trades    INTEGER NOT NULL,
    first_ts  INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_ts   INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    PRIMARY KEY (symbol_id, interval, start)
) STRICT, WITHOUT ROWID;

-- The ledger. Blobs are little-endian 64-bit numbers: mean is one per step; bands is, for each
-- band, its level, then the lower bounds, then the upper ones; targets is NULL where they are the
-- bars that follow the origin.
CREATE TABLE forecasts (
    id           INTEGER PRIMARY KEY,
    symbol_id    INTEGER NOT NULL,
    interval     INTEGER NOT NULL,
    origin       INTEGER NOT NULL,
    model        TEXT    NOT NULL,
    origin_close REAL    NOT NULL,
    made_at      INTEGER NOT NULL,
    targets      BLOB,
    mean         BLOB    NOT NULL,
    bands        BLOB    NOT NULL,
    UNIQUE (symbol_id, interval, origin, model)
) STRICT;

CREATE TRIGGER forecasts_refuse_update BEFORE UPDATE ON forecasts
BEGIN SELECT RAISE(ABORT, 'the forecast ledger is append-only'); END;
CREATE TRIGGER forecasts_refuse_delete BEFORE DELETE ON forecasts
BEGIN SELECT RAISE(ABORT, 'the forecast ledger is append-only'); END;

-- Forecasts with unscored steps: due_at is the end of the next step's bar.
CREATE TABLE open_forecasts (
    symbol_id    INTEGER NOT NULL,
    interval     INTEGER NOT NULL,
    origin       INTEGER NOT NULL,
    forecast_id  INTEGER NOT NULL,
    scored_steps INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    PRIMARY KEY (symbol_id, interval, origin, forecast_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE outcomes (
    forecast_id INTEGER NOT NULL,
    step        INTEGER NOT NULL,
    actual      REAL    NOT NULL,
    naive       REAL    NOT NULL,
    PRIMARY KEY (forecast_id, step)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER outcomes_refuse_update BEFORE UPDATE ON outcomes
BEGIN SELECT RAISE(ABORT, 'the forecast ledger is append-only'); END;
CREATE TRIGGER outcomes_refuse_delete BEFORE DELETE ON outcomes
BEGIN SELECT RAISE(ABORT, 'the forecast ledger is append-only'); END;

-- The scoreboard, kept in step with the outcomes.
CREATE TABLE scores (
    symbol_id     INTEGER NOT NULL,
    interval      INTEGER NOT NULL,
    model         TEXT    NOT NULL,
    step          INTEGER NOT NULL,
    count         INTEGER NOT NULL,
    abs_sum       REAL    NOT NULL,
    square_sum    REAL    NOT NULL,
    naive_abs_sum REAL    NOT NULL,
    PRIMARY KEY (symbol_id, interval, model, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE score_coverage (
    symbol_id INTEGER NOT NULL,
    interval  INTEGER NOT NULL,
    model     TEXT    NOT NULL,
    step      INTEGER NOT NULL,
    level     REAL    NOT NULL,
    count     INTEGER NOT NULL,
    inside    INTEGER NOT NULL,
    PRIMARY KEY (symbol_id, interval, model, step, level)
) STRICT, WITHOUT ROWID;

-- state: 0 open, 1 replayed.
CREATE TABLE dead_letters (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    reason  TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    origin  TEXT    NOT NULL,
    payload TEXT    NOT NULL,
    state   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX dead_letters_by_state ON dead_letters (state, id);
CREATE INDEX open_dead_letters_by_reason ON dead_letters (reason, id) WHERE state = 0;

CREATE TABLE dead_letter_counts (
    reason   TEXT PRIMARY KEY,
    open     INTEGER NOT NULL,
    replayed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
