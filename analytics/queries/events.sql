-- Events, each once, by their own moment.
SELECT event, currency, CAST(SUM(events) AS BIGINT) AS events, CAST(SUM(micros) AS BIGINT) AS micros
FROM rollup_events
WHERE hour >= :since AND hour < :until AND link_id BETWEEN :low AND :high
GROUP BY event, currency
ORDER BY event, currency
