-- Lists symbols a page at a time, those with ticks first.
CREATE INDEX symbols_listed ON symbols ((tick_ts IS NULL), name) WHERE intervals > 0;
