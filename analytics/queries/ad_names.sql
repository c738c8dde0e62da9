SELECT link_id, ad_key, source, campaign, medium, content, term
FROM ads
WHERE link_id BETWEEN :low AND :high
