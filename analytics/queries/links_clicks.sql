-- Clicks, starts and waits of each link; a link that has none is not among them.
SELECT link_id, trait, value, CAST(SUM(clicks) AS BIGINT) AS clicks, CAST(SUM(starts) AS BIGINT) AS starts, CAST(SUM(alone) AS BIGINT) AS alone, CAST(SUM(wait_ms) AS BIGINT) AS wait_ms
FROM rollup_days
WHERE trait IN ('', 'wait') AND day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY link_id, trait, value
