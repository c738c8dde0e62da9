-- Clicks and starts by one trait and day.
SELECT day, value, CAST(SUM(clicks) AS BIGINT) AS clicks, CAST(SUM(starts) AS BIGINT) AS starts, CAST(SUM(alone) AS BIGINT) AS alone
FROM rollup_days
WHERE trait = :trait AND day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY day, value
