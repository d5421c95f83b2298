"""The run folder: whose it is, its settings, where it is listed, and how it is removed."""
