"""The processes of a job: started, isolated from the rest of the machine, restarted and stopped."""
