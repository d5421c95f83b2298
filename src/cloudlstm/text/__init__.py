"""Text that people read, made of data that anybody may have written."""
