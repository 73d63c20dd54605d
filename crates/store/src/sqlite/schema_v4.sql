-- Bars that came as bars and went on with ticks that they do not cover: as they came. `bars` has the
-- whole, with the number of those ticks in `trades`.
CREATE TABLE external_bars (
    symbol_id INTEGER NOT NULL,
    interval  INTEGER NOT NULL,
    start     INTEGER NOT NULL,
    open      REAL    NOT NULL,
    high      REAL    NOT NULL,
    low       REAL    NOT NULL,
    close     REAL    NOT NULL,
    volume    REAL    NOT NULL,
    first_ts  INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_ts   INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    PRIMARY KEY (symbol_id, interval, start)
) STRICT, WITHOUT ROWID;
