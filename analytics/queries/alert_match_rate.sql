-- Clicks of people and their starts, by link: in the hours asked for, and in the same hours of the 7 days before.
SELECT links.slug AS slug,
       CAST(SUM(CASE WHEN r.hour >= :since THEN r.clicks ELSE 0 END) AS BIGINT) AS clicks,
       CAST(SUM(CASE WHEN r.hour >= :since THEN r.starts ELSE 0 END) AS BIGINT) AS starts,
       CAST(SUM(CASE WHEN r.hour < :since THEN r.clicks ELSE 0 END) AS BIGINT) AS clicks_before,
       CAST(SUM(CASE WHEN r.hour < :since THEN r.starts ELSE 0 END) AS BIGINT) AS starts_before
FROM rollup_hours r
JOIN links ON links.id = r.link_id
WHERE r.trait = 'class'
  AND r.value IN ('human', 'in_app')
  AND r.hour >= :since - 10080
  AND r.hour < :until
  AND (r.hour - :since + 10080) % 1440 < :until - :since
GROUP BY links.slug
