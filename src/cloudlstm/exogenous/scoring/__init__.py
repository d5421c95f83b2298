"""Scores of headlines: scorers, a cache of scores by content, how new a headline is, and rows of all that."""
