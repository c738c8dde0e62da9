-- Clicks and starts of each link and day.
SELECT link_id, day, CAST(SUM(clicks) AS BIGINT) AS clicks, CAST(SUM(starts) AS BIGINT) AS starts, CAST(SUM(alone) AS BIGINT) AS alone
FROM rollup_days
WHERE trait = '' AND day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY link_id, day
ORDER BY link_id, day
