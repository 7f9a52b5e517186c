"""The OpenAPI document, made from the tables that it is given."""
