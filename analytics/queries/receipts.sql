SELECT CAST(COALESCE(SUM(issued), 0) AS BIGINT) AS issued,
       CAST(COALESCE(SUM(synced), 0) AS BIGINT) AS synced,
       CAST(COALESCE(SUM(written), 0) AS BIGINT) AS written,
       CAST(COALESCE(SUM(token_only), 0) AS BIGINT) AS token_only,
       CAST(COALESCE(SUM(visible), 0) AS BIGINT) AS visible
FROM accounting WHERE minute > :since
