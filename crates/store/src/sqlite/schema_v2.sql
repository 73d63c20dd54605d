-- Letters of a bus that keeps its messages name theirs, and are kept once.
ALTER TABLE dead_letters ADD COLUMN message TEXT;
CREATE UNIQUE INDEX dead_letters_by_message ON dead_letters (message) WHERE message IS NOT NULL;
