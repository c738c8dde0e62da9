-- What was promised, by the hour of the click (UTC).
SELECT minute / 60 AS hour, CAST(SUM(issued) AS BIGINT) AS issued, CAST(SUM(token_only) AS BIGINT) AS token_only
FROM accounting
WHERE minute >= :since AND minute < :until
GROUP BY minute / 60
