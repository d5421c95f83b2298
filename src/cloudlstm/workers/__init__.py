"""The processes of a job: how they are started, kept apart from the rest of the machine, and ended."""
