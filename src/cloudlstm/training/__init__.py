"""Training the LSTM on any number of workers, with a result that does not depend on how many.

TensorFlow is loaded by those modules only that compute with it: what is done already is found out without it.
"""
