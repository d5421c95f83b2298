"""The environment variables that a launcher sets for a job and its workers."""

from __future__ import annotations

PARENT_PIPE = "CLOUDLSTM_PARENT_PIPE"
"""Set by a launcher on the same machine: the job ends when its standard input is closed."""

WAITS = "CLOUDLSTM_WAITS"
"""Set for a job that is started before its turn: it loads its packages and waits for a byte on its standard input."""

FORECASTS_ONLY = "CLOUDLSTM_FORECASTS_ONLY"
"""Set for a job train that does not train; it may do without TensorFlow, so it does not load it before its turn."""

ATTEMPT = "CLOUDLSTM_ATTEMPT"
"""The number of the attempt that a job works for. Only workers/job.py reads it."""

GENERATION = "CLOUDLSTM_GENERATION"
"""The number of restarts of the job's workers in this attempt."""

RESTARTS = "CLOUDLSTM_RESTARTS"
"""The reasons of these restarts, a JSON list of sentences."""

CORES = "CLOUDLSTM_CORES"
"""The cores of a worker on a shared machine, such as "0,2"."""

DEVICES = "CLOUDLSTM_DEVICES"
"""The number of logical devices of a worker; the same on all workers of a job."""

MOST_DEVICES = 4
"""Most logical devices of a worker; each takes about 1.6 s to trace the training step."""

ACCELERATOR = "CLOUDLSTM_ACCELERATOR"
"""What a worker computes on: "cuda" if it must see a GPU. Without it a worker takes what it finds."""

YAHOO_URL = "CLOUDLSTM_YAHOO_URL"
"""Base URL of a server that replaces every Yahoo host. Read in the driver."""

ALFRED_URL = "CLOUDLSTM_ALFRED_URL"
"""Base URL of a server that replaces api.stlouisfed.org. Read in the driver."""

FRED_API_KEY = "FRED_API_KEY"
"""The user's key for ALFRED. It is read in the driver, and written nowhere."""

OWN_CODE = "CLOUDLSTM_OWN_CODE"
"""The archive of the user's packages that a launcher on the same machine made for a job. Read by runs/user_code.py."""
