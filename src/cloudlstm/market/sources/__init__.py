"""Where bars come from: files of many formats, Yahoo Finance, and a synthetic market."""
