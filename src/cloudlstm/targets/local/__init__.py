"""The local target: jobs as child processes, Java for Spark, and temporary folders."""
