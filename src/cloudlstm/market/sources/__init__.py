"""Sources of bars: files, Yahoo Finance, and a synthetic market.

Files with other column names or dates need no code: see `market.columns` and `market.date_format`. The reader of a new
file format goes into tabular.py, which converts the bytes of one file to bars. A new service gets its own folder, like
yahoo/: implement `RemoteSource` from base.py and add it to the table of sources there.
"""
