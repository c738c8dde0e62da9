-- Changes that are still to be folded into the rollups, and the clicks among them.
SELECT (SELECT COUNT(*) FROM click_changes) AS clicks,
       (SELECT COUNT(*) FROM start_changes) AS starts,
       (SELECT COUNT(*) FROM event_changes) AS events,
       (SELECT CAST(COALESCE(SUM(sign), 0) AS BIGINT) FROM click_changes
        WHERE clicked AND moment >= :since_moment AND moment < :until_moment) AS new_clicks
