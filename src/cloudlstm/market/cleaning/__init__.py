"""Cleaning of one shard of bars: rules that reject rows, jumps of the price level, and the quality gate of a run."""
