"""The job "prepare": applies the functions of market, features and dataset to shards, in Spark."""
