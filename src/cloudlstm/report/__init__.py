"""The report of a run: its typed content (models, build, sections) and its page (html, charts, templates)."""
