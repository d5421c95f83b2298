"""Reads daily bars from a source, cleans them, and defines the tables that hold them.

A shard is a table of whole tickers in the order (ticker, date, arrival). All functions here work on such tables, so one
process, a Spark task and a test run the same code.
"""
