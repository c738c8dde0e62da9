SELECT id, slug, name FROM links ORDER BY id
