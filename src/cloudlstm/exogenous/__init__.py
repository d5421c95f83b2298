"""Macro series and news: what was known, and when; joined to bars as of the close of their session."""
