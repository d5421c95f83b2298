"""Turns features into labelled windows: writes sequences as TFRecord shards and reads windows from them."""
