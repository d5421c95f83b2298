"""Kafka on this machine without Docker: a broker for end-to-end tests and demos, and the client library's own mock."""
