"""Spark on an emulated cloud: a YARN cluster, and the applications that run on it."""
