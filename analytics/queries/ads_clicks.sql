-- Clicks, starts and waits of each ad.
SELECT link_id, ad_key, trait, value, CAST(SUM(clicks) AS BIGINT) AS clicks, CAST(SUM(starts) AS BIGINT) AS starts, CAST(SUM(alone) AS BIGINT) AS alone, CAST(SUM(wait_ms) AS BIGINT) AS wait_ms
FROM rollup_ads
WHERE trait IN ('', 'wait') AND day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY link_id, ad_key, trait, value
