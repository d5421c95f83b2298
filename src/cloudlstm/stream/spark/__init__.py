"""A stream on Spark Structured Streaming: the same batches, journal and sinks as in one process."""
