"""Trains the LSTM on any number of workers; the result does not depend on the number.

Only the modules that compute import TensorFlow, so a finished training is skipped without it.
"""
