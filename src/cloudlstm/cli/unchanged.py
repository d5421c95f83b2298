"""Finds out before any job starts that a submit would change nothing.

The launcher compares a hash of all inputs with that in the receipt of the last submit (runs/receipt.py). The
fingerprints of the steps would tell the same, but some of them depend on the results of earlier steps and on exchange
calendars, so computing them takes the packages and the time of a job.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudlstm
from cloudlstm.config import RunConfig
from cloudlstm.market.sectors import read_sectors
from cloudlstm.market.universe import read_universe, requested_tickers
from cloudlstm.runs import user_code, weights
from cloudlstm.runs.environment import YAHOO_URL
from cloudlstm.runs.manifest import fingerprint

_STILL_OPEN = dt.timedelta(days=31)
"""A calendar has no longer closure: all sessions up to a date that is so long ago were over at every earlier submit."""


def inputs_of(config: RunConfig) -> str | None:
    """A hash of everything that the results of a run depend on; None if only its jobs can tell.

    Raises:
        CloudLSTMError: the universe, the sectors, the files or the weights are not there.
    """
    market = config.market
    if market.source == "yahoo" and market.end > dt.datetime.now(dt.UTC).date() - _STILL_OPEN:
        return None  # new bars may be there
    return fingerprint([config.identity(), *inputs_outside(config), _code()])


def inputs_outside(config: RunConfig) -> list[Any]:
    """What a run reads besides its settings: names, sizes and etags of files of bars, universe, sectors, weights, code.

    Raises:
        CloudLSTMError: the universe, the sectors, the files, the weights or the user's code are not there.
    """
    start, universe, sectors = weights.source(config), config.universe, config.universe.sectors
    found = read_universe(universe, config.market)
    return [
        [found.tickers, found.periods, found.excluded],
        read_sectors(sectors) if sectors else None,
        _files(config) if config.market.source == "files" else os.environ.get(YAHOO_URL),
        start.digest() if start else None,
        user_code.identity(user_code.names_of(config)),
        _exogenous(config) if config.exogenous.groups else None,
    ]


def _exogenous(config: RunConfig) -> list[Any]:
    """What the sources of macro series and news would be asked for, or hold, and the version of the scorer."""
    from cloudlstm.exogenous.collect import identity
    from cloudlstm.exogenous.scoring import scorer

    news = config.exogenous.news
    return [
        identity(config, requested_tickers(config.universe, config.market) or None),
        scorer.identity(scorer.open_scorer(news)) if news.source != "off" else None,
    ]


def _files(config: RunConfig) -> list[Any]:
    from cloudlstm.market.sources.files.listing import list_files

    listed = list_files(config.market.path or "", config.market.ignore_files).files
    return [[file.item, file.size_bytes, file.etag] for file in listed]


def _code() -> list[Any]:
    """The release, the size and the time of each of its modules, and the version of the exchange calendars."""
    package = Path(cloudlstm.__file__).parent
    files = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".css", ".html", ".j2", ".toml"))
    states = [(str(path.relative_to(package)), path.stat()) for path in files]
    calendars = None
    with suppress(importlib.metadata.PackageNotFoundError):
        calendars = importlib.metadata.version("exchange-calendars")
    return [cloudlstm.__version__, calendars, [[name, state.st_size, state.st_mtime_ns] for name, state in states]]
