"""Draws the page of a stream: rate, lag, latency, and forecasts against outcomes so far; the terminal has the same."""
