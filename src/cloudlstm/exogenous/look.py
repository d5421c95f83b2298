"""A look at macro series and news before a run starts: settings that cannot work, and sources that are not there."""

from __future__ import annotations

from cloudlstm.config import RunConfig
from cloudlstm.exogenous.columns import columns_of
from cloudlstm.exogenous.scoring import scorer
from cloudlstm.exogenous.sources import tables
from cloudlstm.exogenous.sources.synthetic import require_synthetic


def look_at_exogenous(config: RunConfig) -> list[str]:
    """Returns what a user should know of the sources, as sentences. A source that is not there does not stop a run.

    A scorer of the user's code is not imported.

    Raises:
        UsageError: it is not known what a series is, or generated data are asked for a real market.
        CloudLSTMError: the scorer lacks its package, or its file.
    """
    macro, news = config.exogenous.macro, config.exogenous.news
    columns_of(config.exogenous)
    for name, section in (("macro", macro), ("news", news)):
        if section.source == "synthetic":
            require_synthetic(config.market, f"exogenous.{name}.source")
    if news.source != "off" and ":" not in news.scorer:
        scorer.identity(scorer.open_scorer(news))
    notes = []
    for name, section in (("macro", macro), ("news", news)):
        if section.path and section.source in ("files", "fred") and not tables.identity(section.path):
            path = section.path
            notes.append(
                f"exogenous.{name}.path: no file can be listed here in {path}; without it, features are missing"
            )
    return notes
