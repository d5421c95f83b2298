"""Cleans one shard of bars at a time, and checks the result of all shards against the limits of the quality gate."""
