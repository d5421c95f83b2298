"""From daily stock prices to an honest next-day LSTM forecast, on one machine or on a cluster.

Importing this package loads nothing heavy: no SDK, no pyspark, no tensorflow. See ARCHITECTURE.md for the rooms.
"""

__version__ = "0.3.0"
