"""Fetches bars from Yahoo Finance through yfinance, one ticker at a time.

| module | purpose |
|---|---|
| source | the source of a run, and the work of one fetching task |
| client | fetches one ticker: attempts, back-off, and the result |
| session | the HTTP session for yfinance: rate limit, error replies, another server instead of Yahoo |
| news | the newest headlines of a symbol |
"""
