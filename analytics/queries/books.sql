-- What was promised for the clicks of these minutes.
SELECT CAST(SUM(issued) AS BIGINT) AS issued, CAST(SUM(synced) AS BIGINT) AS synced,
       CAST(SUM(written) AS BIGINT) AS written, CAST(SUM(token_only) AS BIGINT) AS token_only,
       CAST(SUM(visible) AS BIGINT) AS visible, CAST(SUM(spooled) AS BIGINT) AS spooled
FROM accounting
WHERE minute >= :since AND minute < :until
