"""Bars: where they come from, how they are put into shards, and which of them are fit to use.

A shard is a table of whole tickers in the order (ticker, date, arrival). Everything here is a plain function on such
tables, so one process, a Spark task and a test run the same code.
"""
