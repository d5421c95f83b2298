"""Spark on an emulated cloud: a standalone cluster, and the applications that run on it."""
