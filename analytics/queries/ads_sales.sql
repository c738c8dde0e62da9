SELECT r.link_id, r.ad_key, r.currency, r.events, r.micros, a.campaign, a.medium, a.content, a.term
FROM (
    SELECT link_id, ad_key, currency, CAST(SUM(events) AS BIGINT) AS events, CAST(SUM(micros) AS BIGINT) AS micros
    FROM rollup_sales
    WHERE day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high AND event = :event
    GROUP BY link_id, ad_key, currency
) AS r
LEFT JOIN ads AS a ON a.link_id = r.link_id AND a.ad_key = r.ad_key
