"""YARN on one machine: its daemons' protocols, served to Spark's own client, application masters and executors."""
