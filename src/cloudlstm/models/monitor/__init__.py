"""Draws the page of a model: skill over time, versions, calibration, drift, coverage, corrections of bars, and days."""
