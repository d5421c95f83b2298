"""A look at macro series and news before a run starts: settings that cannot work, and sources that are not there."""

from __future__ import annotations

import os

from cloudlstm import storage
from cloudlstm.config import RunConfig
from cloudlstm.errors import UsageError
from cloudlstm.exogenous.columns import columns_of
from cloudlstm.exogenous.scoring import scorer
from cloudlstm.exogenous.sources import tables
from cloudlstm.exogenous.sources.synthetic import require_synthetic
from cloudlstm.runs.environment import FRED_API_KEY


def look_at_exogenous(config: RunConfig, elsewhere: str | None = None) -> list[str]:
    """Returns what a user should know of the sources, as sentences. A source that is not there does not stop a run.

    A scorer of the user's code is not imported.

    Args:
        config: The settings of the run.
        elsewhere: The target whose machines read the sources; None for this machine.

    Raises:
        UsageError: it is not known what a series is, generated data are asked for a real market, or the machines of
            the target cannot reach a source.
        CloudLSTMError: the scorer lacks its package, or its file.
    """
    macro, news = config.exogenous.macro, config.exogenous.news
    columns_of(config.exogenous)
    for name, section in (("macro", macro), ("news", news)):
        if section.source == "synthetic":
            require_synthetic(config.market, f"exogenous.{name}.source")
    if news.source != "off" and ":" not in news.scorer:
        scorer.identity(scorer.open_scorer(news))
    if elsewhere:
        _require_reachable(config, elsewhere)
    notes = []
    if macro.source == "alfred" and not os.environ.get(FRED_API_KEY):
        notes.append(f"exogenous.macro.source=alfred needs a key in {FRED_API_KEY}; without it, features are missing")
    for name, section in (("macro", macro), ("news", news)):
        if section.path and section.source in ("files", "fred") and not tables.identity(section.path):
            path = section.path
            notes.append(
                f"exogenous.{name}.path: no file can be listed here in {path}; without it, features are missing"
            )
    return notes


def _require_reachable(config: RunConfig, target: str) -> None:
    """Raises UsageError if a source is on this machine, and the machines of a target would have to read it."""
    macro, news = config.exogenous.macro, config.exogenous.news
    paths = {"macro.path": macro.path, "news.path": news.path, "news.lexicon": news.lexicon}
    for name, path in paths.items():
        if path and storage.scheme_of(storage.absolute(path)) == "file":
            raise UsageError(
                f"exogenous.{name}: the machines of {target} cannot reach {path}", hint="copy it into the bucket"
            )
    if macro.source == "alfred":
        raise UsageError(
            f"exogenous.macro.source=alfred needs your key, which {target} does not get",
            hint="prepare the run here, or a table of the series with available_at (exogenous.macro.source=files)",
        )
