"""The name of a run that has none in its configuration: after its tickers, its list of tickers or its file of bars."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from cloudlstm.config.data import CORE_SIX, MarketConfig, UniverseConfig

_CORE_SIX_NAME = "core6"
_MOST_TICKERS = 3
"""More tickers are counted instead of named."""
_MOST_LETTERS = 32
"""A run id has room for a suffix and a hash."""


def default_name(universe: UniverseConfig, market: MarketConfig) -> str:
    """The default of `name`; it depends on settings only, so equal settings give the same run id.

    Args:
        universe: The tickers.
        market: The source of bars.
    """
    tickers = universe.tickers
    if set(tickers) == set(CORE_SIX) and not universe.path:
        return _CORE_SIX_NAME
    if universe.path:
        words = _file_name(universe.path)
    elif tickers:
        rest = len(tickers) - _MOST_TICKERS
        words = "-".join(tickers) if rest <= 0 else f"{tickers[0]}-and-{len(tickers) - 1}-more"
    else:
        words = _file_name(market.path) if market.path else ""
        if market.path and market.source == "stored":
            words = "-".join((_file_name(market.path.rsplit("/", 2)[0]), words))  # the store and the day
    return _slug(words) or _slug(market.source)


def _file_name(path: str) -> str:
    """The name of a file without its endings; of a glob, that of the last folder that is named in full."""
    whole = path if "://" in path else str(Path(path).absolute())  # the same name from every folder
    parts = [part for part in PurePosixPath(whole).parts if not set(part) & set("*?[")]
    return parts[-1].split(".")[0] if parts else ""


def _slug(text: str) -> str:
    """The text as lower-case letters, digits and hyphens that begin with a letter; empty if nothing is left."""
    found = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if found and not found[0].isalpha():
        found = f"run-{found}"
    return found[:_MOST_LETTERS].rstrip("-")
