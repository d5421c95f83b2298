"""What cleaning finds, misses and refuses wrongly on real bars with known faults; prints the tables of docs/data-quality.md.

    CLOUDLSTM_DATA=<folder of real market data> python benchmarks/data_quality.py

A row of a fault case is faulty when its prices differ between the raw and the repaired state. It counts as found when
it is refused, or kept in a segment that holds no sound row: then no window and no label joins the two.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.config import CleanConfig
from cloudlstm.market import bars, tabular
from cloudlstm.market.calendar import sessions
from cloudlstm.market.clean import Cleaned, clean
from cloudlstm.market.rules import RULES, of_action

CONFIG = CleanConfig()
PRICES = list(bars.PRICES)
_DAY = dt.timedelta(days=1)


def data(name: str) -> Path:
    """A file of the real data."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("CLOUDLSTM_DATA") or beside) / name


def parsed(name: str) -> pa.Table:
    """BARS of a file, as the source `files` reads it."""
    path = data(name)
    return bars.sort(tabular.parse(path.read_bytes(), path.as_uri(), {}))


def cleaned(table: pa.Table, calendar: str | None = "XNYS") -> Cleaned:
    """As the step does it; without a calendar the dates that occur are the sessions."""
    days = table["date"].cast(pa.int32()).drop_null().to_numpy()
    if calendar is None:
        return clean(table, CONFIG, np.unique(days))
    first, last = (dt.date(1970, 1, 1) + _DAY * int(day) for day in (days.min(), days.max()))
    return clean(table, CONFIG, sessions(calendar, first, last))


def found_by(results: list[Cleaned]) -> Counter[str]:
    """Rows by reason."""
    total: Counter[str] = Counter()
    for result in results:
        for counts in result.counts.values():
            total.update({reason: n for reason, n in counts.items() if reason not in ("rows", "kept", "filled")})
    return total


def cases() -> Iterator[tuple[str, str, pd.DataFrame, pd.DataFrame]]:
    """(problem, ticker, raw, repaired) of every recorded fault; a control is its own repair."""
    table = pd.read_csv(data("dirty_yahoo_repair_cases.csv.gz"))
    table["date"] = pd.to_datetime(table.date.str[:10]).dt.date
    for (problem, ticker), both in table.groupby(["problem", "ticker"]):
        by_state = {state: part.sort_values("date").reset_index(drop=True) for state, part in both.groupby("state")}
        yield problem, ticker, by_state["raw"], by_state.get("fixed", by_state["raw"])


def to_bars(frame: pd.DataFrame) -> pa.Table:
    """BARS of a frame with the columns of the tidy schema."""
    table = pa.table(
        {
            "ticker": pa.array(frame.ticker, pa.string()),
            "date": pa.array(frame.date, pa.date32()),
            **{name: pa.array(frame[name].astype(float), from_pandas=True) for name in (*PRICES, "adj_close")},
            "volume": pa.array(frame.volume.astype(float), from_pandas=True).cast(pa.int64()),
            "source": ["case"] * len(frame),
        }
    )
    return bars.sort(bars.conform(table, bars.BARS))


def apart(result: Cleaned, faulty: set[dt.date]) -> tuple[set[dt.date], set[dt.date]]:
    """Of one ticker: the dates refused, and the dates kept in segments in which all bars are faulty."""
    kept = result.bars.to_pandas()
    kept = kept[~kept.filled]
    refused = set(result.quarantine["date"].to_pylist())
    alone = set()
    for _, segment in kept.groupby("segment"):
        if set(segment.date) <= faulty:
            alone |= set(segment.date)
    return refused, alone


def fault_cases() -> Iterator[str]:
    yield "| case | faulty rows | refused | apart | missed | sound rows refused | found by |"
    yield "|---|---|---|---|---|---|---|"
    for problem, ticker, raw, fixed in cases():
        if problem not in ("100x-error", "bad-stock-split"):
            continue
        result = cleaned(to_bars(raw), None)
        differs = (np.abs(raw[PRICES] / fixed[PRICES] - 1) > 1e-3).any(axis=1)
        faulty = set(raw.date[differs])
        refused, alone = apart(result, faulty)
        by = found_by([result])
        missed = faulty - refused - alone
        wrong = refused - faulty
        yield (
            f"| {problem} {ticker} | {len(faulty)} | {len(faulty & refused)} | {len(faulty & alone)} | {len(missed)} "
            f"| {len(wrong)} | {_words(by)} |"
        )


def adjustment_cases() -> Iterator[str]:
    yield "| case | rows | wrong adj_close | noted | refused | divided | the same, repaired |"
    yield "|---|---|---|---|---|---|---|"
    for problem, ticker, raw, fixed in cases():
        if problem in ("100x-error", "bad-stock-split"):
            continue
        before, after = (found_by([cleaned(to_bars(state), None)]) for state in (raw, fixed))
        wrong = int((np.abs(raw.adj_close / fixed.adj_close - 1) > 1e-3).sum())
        noted, refused, divided = (
            sum(before[rule.reason] for rule in of_action(action)) for action in ("note", "refuse", "divide")
        )
        yield f"| {problem} {ticker} | {len(raw)} | {wrong} | {noted} | {refused} | {divided} | {_words(after)} |"


def _words(by: Counter[str]) -> str:
    return ", ".join(f"{reason} {by[reason]}" for reason in (rule.reason for rule in RULES) if by[reason]) or "-"


def main() -> None:
    for part in (fault_cases, adjustment_cases):
        print("\n".join(part()), end="\n\n")


if __name__ == "__main__":
    main()
