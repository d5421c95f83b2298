"""Environment variables by which a launcher, a job and its workers pass values to each other."""

from __future__ import annotations

PARENT_PIPE = "CLOUDLSTM_PARENT_PIPE"
"""Set by a launcher on the same machine: the job ends when its standard input ends."""

ATTEMPT = "CLOUDLSTM_ATTEMPT"
"""The number of the attempt that a job works for; a later attempt ends the job."""

GENERATION = "CLOUDLSTM_GENERATION"
"""How often the workers of the job have started again in this attempt."""

RESTARTS = "CLOUDLSTM_RESTARTS"
"""Why the workers have started again in this attempt, as a JSON list of sentences."""

CORES = "CLOUDLSTM_CORES"
"""The cores that a worker on a shared machine keeps to, as in "0,2"."""

DEVICES = "CLOUDLSTM_DEVICES"
"""Into how many logical devices a worker divides its cores; the same on all workers of a job."""

MOST_DEVICES = 4
"""Most devices of a worker: TensorFlow traces the training step once for each, which takes about 1.6 s."""

YAHOO_URL = "CLOUDLSTM_YAHOO_URL"
"""Base URL of a server that stands in for every Yahoo host. Read in the driver."""
