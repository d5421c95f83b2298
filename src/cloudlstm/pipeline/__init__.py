"""Carries the kernels of market, features and dataset over shards, in Spark: the job "prepare"."""
