-- What became of every event in every lane.
SELECT lane, event, currency, state, reason,
       CAST(SUM(events) AS BIGINT) AS events, CAST(SUM(micros) AS BIGINT) AS micros
FROM rollup_deliveries
WHERE day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY lane, event, currency, state, reason
