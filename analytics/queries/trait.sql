-- Clicks and starts by one trait; '' is what was not known.
SELECT value, CAST(SUM(clicks) AS BIGINT) AS clicks, CAST(SUM(starts) AS BIGINT) AS starts, CAST(SUM(alone) AS BIGINT) AS alone, CAST(SUM(wait_ms) AS BIGINT) AS wait_ms
FROM rollup_days
WHERE trait = :trait AND day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY value
ORDER BY SUM(clicks) DESC, value
