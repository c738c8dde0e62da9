-- What became of events, by the day of the event.
SELECT day, lane, state, CAST(SUM(events) AS BIGINT) AS events
FROM rollup_deliveries
WHERE day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY day, lane, state
