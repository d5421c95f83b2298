"""The run folder: its objects, its ownership, its place in the index, and its removal."""
