"""An emulated cloud on this machine's loopback addresses: the services that a target uses, doing real work.

It needs no Docker, no account and no internet. `Cloud` (cloud.py) starts and ends it; `python -m localstack` is its
command line. `aws/` and `gcp/` hold what differs between the clouds; everything else is shared.
"""
