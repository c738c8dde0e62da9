-- Of how many clicks and starts the address, user agent and fbclid are known, and how many were erased.
SELECT trait, CAST(SUM(clicks) AS BIGINT) AS clicks, CAST(SUM(starts) AS BIGINT) AS starts, CAST(SUM(alone) AS BIGINT) AS alone
FROM rollup_days
WHERE trait IN ('address', 'agent', 'fbclid', 'erased') AND value = '1' AND day BETWEEN :first AND :last AND link_id BETWEEN :low AND :high
GROUP BY trait
