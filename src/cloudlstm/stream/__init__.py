"""Forecasts while bars arrive: one pure function advances the state by new bars, and two runners call it.

Its modules, from the bars to the results:

    messages.py, bars.py    the contract of a topic, and bars within a day as a table
    sessions.py             the session of a minute
    state.py, advance.py    the last bars of all tickers, and the step to the next ones
    forecasting.py          forecasts of new bars by NumPy, and how earlier ones came out
    sources/                where bars come from: Kafka, landed files
    topic_writer.py         messages to a topic, for bars and for forecasts
    sinks/                  where results go: Parquet in the root, a Kafka topic, the terminal
    journal.py, paths.py    what a stream has taken and written, and the names of its objects
    batch.py                one micro-batch, from bars to results
    local.py, spark/        the runners: this process, Spark Structured Streaming
    page/                   the page of a stream
"""
