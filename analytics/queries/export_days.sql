SELECT day, link_id, value, clicks, starts, alone
FROM rollup_days
WHERE trait = :trait AND day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
    AND (clicks <> 0 OR alone <> 0)
