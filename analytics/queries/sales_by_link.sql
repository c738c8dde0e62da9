-- What the clicks of these days have sold, whenever, by link.
SELECT link_id, event, currency, CAST(SUM(events) AS BIGINT) AS events, CAST(SUM(micros) AS BIGINT) AS micros
FROM rollup_sales
WHERE day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY link_id, event, currency
