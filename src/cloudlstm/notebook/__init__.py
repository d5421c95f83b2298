"""What a notebook gets: a run, its windows and the list of runs, as tables, arrays and HTML."""
