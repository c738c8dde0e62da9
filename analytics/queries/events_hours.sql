-- Events by the hour in which they happened.
SELECT hour, event, currency, CAST(SUM(events) AS BIGINT) AS events, CAST(SUM(micros) AS BIGINT) AS micros
FROM rollup_events
WHERE hour >= :since AND hour < :until AND link_id BETWEEN :low AND :high
GROUP BY hour, event, currency
ORDER BY hour, event, currency
