"""How text for people is written: numbers, durations, and names from files that may contain control characters."""
