"""The SQL store on SQLite and PostgreSQL: the ledger, the catalog of links, the books."""
