-- Starts by their own moment, their bot and kind.
SELECT s.bot_id, b.username, s.kind, CAST(SUM(s.starts) AS BIGINT) AS starts
FROM rollup_starts AS s LEFT JOIN bots AS b ON b.id = s.bot_id
WHERE s.day BETWEEN :first AND :last
GROUP BY s.bot_id, b.username, s.kind
ORDER BY s.bot_id, s.kind
