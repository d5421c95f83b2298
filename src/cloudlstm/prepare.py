"""The job "prepare": from a source to sequences, step by step, each a function over shards.

Bars become shards of whole tickers once, at the start; from then on every step maps shard to shard, and nothing that
a step computes for a ticker depends on its neighbours in the shard.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudlstm import __version__
from cloudlstm.config import RunConfig
from cloudlstm.journal import Journal
from cloudlstm.layout import RunLayout
from cloudlstm.manifest import Manifest, ManifestRow, finished, fingerprint, prune
from cloudlstm.spark import Spark

_LOG = logging.getLogger(__name__)
