"""A cloud in a box: the services that a target talks to, on this machine's loopback addresses, doing real work.

No Docker, no account, no network. `Cloud` (cloud.py) starts and ends it; `python -m localstack` is its command line.
What differs between providers lies in a folder of its own (`aws/`); processes, Spark, steps, machines and faults are
shared.
"""
