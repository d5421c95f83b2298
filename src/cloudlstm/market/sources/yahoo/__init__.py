"""Bars from Yahoo Finance, fetched ticker by ticker through yfinance.

| module | what it is for |
|---|---|
| source | what a run asks for, and the work of one task |
| client | one ticker: attempts, back-off, and whether it was fetched, is empty or has failed |
| session | the HTTP session that yfinance is given: pace, refusals, another server in Yahoo's place |
| symbols | tickers as Yahoo spells them |
"""
