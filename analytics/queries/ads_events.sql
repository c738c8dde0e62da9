SELECT event, CAST(SUM(events) AS BIGINT) AS events
FROM rollup_sales
WHERE day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY event
ORDER BY event
