"""The source "files": bars from CSV, text and Parquet files, in the forms that vendors and programs write.

`listing` finds the files of a path, `contents` opens them, also inside ZIP archives. `unpacking` and `encodings` turn
them into UTF-8 text, `header` and `column_names` find the columns, `ticker_names` takes a ticker from a file's name.
`tabular` makes bars of one file, `look` checks all files before anything starts, and `source` is what Spark reads from.
"""
