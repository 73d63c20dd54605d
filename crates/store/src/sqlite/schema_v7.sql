-- Letters are bounded in bytes too: those of their texts.
ALTER TABLE dead_letter_sources ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE dead_letter_sources SET bytes = held.bytes FROM (
    SELECT source, reason, sum(octet_length(payload) + octet_length(detail) + octet_length(origin)
        + coalesce(octet_length(message), 0)) AS bytes
    FROM dead_letters GROUP BY source, reason
) AS held WHERE held.source = dead_letter_sources.source AND held.reason = dead_letter_sources.reason;
