-- Clicks and starts of each hour, by the moment of the click.
SELECT hour, CAST(SUM(clicks) AS BIGINT) AS clicks, CAST(SUM(starts) AS BIGINT) AS starts, CAST(SUM(alone) AS BIGINT) AS alone
FROM rollup_hours
WHERE trait = '' AND hour >= :since AND hour < :until AND link_id BETWEEN :low AND :high
GROUP BY hour
ORDER BY hour
