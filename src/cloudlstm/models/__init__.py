"""Judges models that live from day to day: promotion, rollback, drift, checks, and the chain of their forecasts."""
