"""The OpenAPI documents, built from the tables that are passed in."""
