SELECT link_id, ad_key, value, CAST(SUM(clicks) AS BIGINT) AS clicks, CAST(SUM(starts) AS BIGINT) AS starts
FROM rollup_ads
WHERE trait = :trait AND day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY link_id, ad_key, value
