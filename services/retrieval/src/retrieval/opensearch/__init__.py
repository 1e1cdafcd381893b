"""The index on OpenSearch: rows that belong to changes, and one row that says which changes count."""
