SELECT r.link_id, r.ad_key, r.clicks, r.starts, r.alone, a.source, a.campaign, a.medium, a.content, a.term
FROM (
    SELECT link_id, ad_key,
        CAST(SUM(clicks) AS BIGINT) AS clicks, CAST(SUM(starts) AS BIGINT) AS starts, CAST(SUM(alone) AS BIGINT) AS alone
    FROM rollup_ads
    WHERE trait = '' AND day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
    GROUP BY link_id, ad_key
) AS r
LEFT JOIN ads AS a ON a.link_id = r.link_id AND a.ad_key = r.ad_key
