SELECT day, link_id, lane, event, state, reason, currency, events, micros
FROM rollup_deliveries
WHERE day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high AND events <> 0
