"""From daily stock prices to a next-day LSTM forecast, on one machine or on a cluster.

    import cloudlstm

    run = cloudlstm.submit("examples/demo.toml", train__epochs=5)
    run.metrics.to_pandas()

Importing this package loads no other package; the names below are loaded when they are first used. docs/data.md
describes the data of a run, ARCHITECTURE.md the rooms of the code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.12.0"

__all__ = ["CloudLSTMError", "Run", "Runs", "Windows", "__version__", "list_runs", "open_run", "submit"]

if TYPE_CHECKING:
    from cloudlstm.api import CloudLSTMError, Run, Runs, Windows, list_runs, open_run, submit
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from cloudlstm import api

        return getattr(api, name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
