"""Judges forecasts against what happened and against forecasts that need no network, and writes the report."""
