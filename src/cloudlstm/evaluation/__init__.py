"""Computes baseline forecasts, error metrics and significance tests for the forecasts of a run."""
