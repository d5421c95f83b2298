"""The report of a run: what it says (build, sections, summary), and how it looks (html, charts, templates)."""
