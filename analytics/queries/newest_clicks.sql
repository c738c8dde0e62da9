SELECT newest.id, newest.spooled, newest.traffic_class,
       CASE WHEN newest.clicked_at IS NULL THEN 0 ELSE 1 END AS clicked,
       CASE WHEN newest.started_at IS NULL THEN 0 ELSE 1 END AS started,
       CASE WHEN newest.erased_at IS NULL THEN 0 ELSE 1 END AS erased,
       links.slug, ads.source, ads.campaign, ads.content
FROM (SELECT * FROM clicks ORDER BY id DESC LIMIT :most) AS newest
LEFT JOIN links ON links.id = newest.link_id
LEFT JOIN ads ON ads.link_id = newest.link_id AND ads.ad_key = newest.ad_key
ORDER BY newest.id DESC
