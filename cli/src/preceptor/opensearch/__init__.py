"""A local OpenSearch node: assembled from published artifacts, with TLS, client certificates and our policies."""
