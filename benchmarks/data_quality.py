"""Prints the tables of docs/data-quality.md: what cleaning finds, misses and finds falsely on real bars.

CLOUDLSTM_DATA=<folder of real market data> python benchmarks/data_quality.py
"""

from __future__ import annotations

import datetime as dt
import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from known_faults import (
    BROAD,
    CONFIG,
    CONTROL,
    CORE,
    DROPS,
    LEAN,
    MEMBERS,
    MORE_MEMBERS,
    PRICE_FAULTS,
    PRICES,
    apart,
    cases,
    cleaned,
    data,
    drop_splits,
    faulty_dates,
    in_other_segments,
    lean_splits,
    parsed,
    rebased,
    result_of,
    to_bars,
)

from cloudlstm.config import Rename
from cloudlstm.market.cleaning.clean import Cleaned
from cloudlstm.market.cleaning.rules import RULES, of_action
from cloudlstm.market.sources.renames import apply_renames

Row = Sequence[object]


def found_by(*results: Cleaned) -> Counter[str]:
    """Rows by reason."""
    total: Counter[str] = Counter()
    for result in results:
        for counts in result.counts.values():
            total.update({reason: n for reason, n in counts.items() if reason not in ("rows", "kept", "filled")})
    return total


def summed(by: Counter[str], action: str) -> int:
    """Rows that the rules of one action found."""
    return sum(by[rule.reason] for rule in RULES if rule.action == action)


def rules() -> Iterator[Row]:
    """The table of rules."""
    yield "reason", "looks at", "action", "finds"
    for rule in RULES:
        looks_at = rule.looks_at + ("" if rule.causal else " (labels only)")
        yield f"`{rule.reason}`", looks_at, rule.action, rule.meaning


def fault_cases() -> Iterator[Row]:
    """Recorded faults of prices."""
    yield "case", "faulty rows", "rejected", "kept apart", "missed", "valid rows rejected", "of them stale", "found by"
    for problem, ticker, raw, fixed in cases():
        if problem not in PRICE_FAULTS:
            continue
        result, faulty = cleaned(to_bars(raw), None), faulty_dates(raw, fixed)
        rejected = dict(
            zip(result.quarantine["date"].to_pylist(), result.quarantine["reason"].to_pylist(), strict=True)
        )
        alone = apart(result, faulty)
        wrong = [reason for date, reason in rejected.items() if date not in faulty]
        missed = faulty - set(rejected) - alone
        yield (
            f"{problem} {ticker}", len(faulty), len(faulty & set(rejected)), len(alone), len(missed), len(wrong),
            wrong.count("stale"), _words(found_by(result)),
        )  # fmt: skip


def adjustment_cases() -> Iterator[Row]:
    """Recorded faults of adj_close, and the controls."""
    yield "case", "rows", "wrong adj_close", "noted", "rejected", "segments started", "the same in the repaired state"
    for problem, ticker, raw, fixed in cases():
        if problem in PRICE_FAULTS:
            continue
        before, after = (found_by(cleaned(to_bars(state), None)) for state in (raw, fixed))
        wrong = int((np.abs(raw.adj_close / fixed.adj_close - 1) > 1e-3).sum())
        counted = (summed(before, action) for action in ("note", "reject", "start_segment"))
        yield f"{problem} {ticker}", len(raw), wrong, *counted, _words(after)


def real_moves() -> Iterator[Row]:
    """Bars that are valid except for the faults that the README of the data lists."""
    yield (
        "data",
        "bars",
        "moves beyond 40 %",
        "outlier",
        "segments started",
        "labels dropped",
        "rejected for other reasons",
    )
    for name in (CORE, MEMBERS, MORE_MEMBERS):
        close = parsed(name).to_pandas()[["ticker", "close"]]
        moves = np.abs(np.log(close.close).groupby(close.ticker, observed=True).diff()) > 0.40
        by = found_by(result_of(name))
        others = Counter({rule.reason: by[rule.reason] for rule in of_action("reject") if rule.reason != "outlier"})
        yield (
            name,
            len(close),
            int(moves.sum()),
            by["outlier"],
            summed(by, "start_segment"),
            summed(by, "drop_label"),
            _words(others),
        )


def by_rule() -> Iterator[Row]:
    """Found, missed and falsely found, where the truth is known."""
    yield "rule", "data", "faults", "found", "missed", "falsely"
    yield from _drops_by_rule()
    yield from _broad_by_rule()
    lean, members = result_of(LEAN), parsed(MEMBERS).to_pandas()
    wild = found_by(lean)["wild_range"]
    valid = found_by(result_of(CORE), result_of(MEMBERS), result_of(MORE_MEMBERS))
    yield "`wild_range`", "Lean, AAPL lows at a tenth", 2, wild, 2 - wild, valid["wild_range"]
    idle = (members.volume == 0) & (members.ticker == "AMCR")
    stale = Counter(result_of(MEMBERS).quarantine.filter(_reason(result_of(MEMBERS), "stale"))["ticker"].to_pylist())
    withdrawn = sum(counts.get("stale_begin", 0) for counts in result_of(MEMBERS).counts.values())
    rejected = stale.pop("AMCR")
    yield (
        "`stale`, `stale_begin`", "AMCR before its listing", int(idle.sum()), f"{rejected} and {withdrawn} labels",
        int(idle.sum()) - rejected - withdrawn, sum(stale.values()) + found_by(result_of(MORE_MEMBERS))["stale"],
    )  # fmt: skip
    faults, found = 0, 0
    for problem, _, raw, fixed in cases():
        if problem in PRICE_FAULTS:
            result, faulty = cleaned(to_bars(raw), None), faulty_dates(raw, fixed)
            faults += len(faulty)
            found += len(faulty & (set(result.quarantine["date"].to_pylist()) | apart(result, faulty)))
    yield (
        "`outlier`, `level_shift`, `unmarked_split`",
        "rows of the 9 price cases",
        faults,
        found,
        faults - found,
        "see the cases",
    )
    yield "`outlier`", "core six and 338 index members", 0, 0, 0, valid["outlier"]
    yield "`unmarked_split`, `level_shift`", "core six and 338 index members", 0, 0, 0, summed(valid, "start_segment")
    joined = apply_renames(parsed(LEAN), [Rename(old="GOOG", new="GOOGL", until=dt.date(2014, 4, 2))])
    splits = [*lean_splits(), ("GOOGL", dt.date(2014, 4, 2))]
    yield _splits("Lean, GOOG before 2014-04-03 as GOOGL", splits, cleaned(joined))
    yield _splits("crawl drops", drop_splits(), result_of(DROPS))
    yield _splits("broad file, as later bars show", rebased(BROAD), result_of(BROAD))
    adjusted = {ticker: (problem, raw) for problem, ticker, raw, _ in cases() if problem not in PRICE_FAULTS}
    noted = {ticker for ticker, (_, raw) in adjusted.items() if found_by(cleaned(to_bars(raw), None))["odd_adjustment"]}
    faulty = {ticker for ticker, (problem, _) in adjusted.items() if problem != CONTROL}
    yield (
        "`odd_adjustment`", "cases with bad or missing dividends", len(faulty), len(noted & faulty),
        len(faulty - noted), len(noted - faulty),
    )  # fmt: skip


def _splits(where: str, truth: Iterable[tuple[str, dt.date]], result: Cleaned) -> Row:
    splits = sorted(set(truth))
    missed = [ticker for ticker, last in splits if not in_other_segments(result, ticker, last)]
    name = "`unmarked_split`, `level_shift`"
    lacking = f"{len(missed)}" + (f" ({', '.join(missed)})" if missed else "")
    divided = summed(found_by(result), "start_segment")
    found = len(splits) - len(missed)
    return name, where, len(splits), found, lacking, str(divided - found)


def _drops_by_rule() -> Iterator[Row]:
    table, result = parsed(DROPS), result_of(DROPS)
    by = found_by(result)
    texts = [gzip.decompress(path.read_bytes()).decode() for path in sorted(data(DROPS).iterdir())]
    headers = sum(text.count("symbol,date,") for text in texts) - sum(1 for text in texts if text.strip())
    yield (
        "`text_line`",
        "crawl drops: headers inside",
        headers,
        by["text_line"],
        headers - by["text_line"],
        0,
    )
    frame = table.to_pandas()
    closed = int((frame.date == dt.date(2015, 4, 3)).sum())
    found = by["off_calendar"] + by["carried_row"]
    yield "`off_calendar`, `carried_row`", "crawl drops: Good Friday", closed, found, closed - found, 0
    bare = frame[(frame.date != dt.date(2015, 4, 3)) & frame.ticker.notna() & (frame[PRICES] > 0).all(axis=1)]
    bare = bare[bare.high <= 5 * bare.low]
    surplus = int(bare.duplicated(["ticker", "date"]).sum())
    copies = by["duplicate_exact"] + by["duplicate_conflict"]
    yield "`duplicate_exact`, `duplicate_conflict`", "crawl drops", surplus, copies, surplus - copies, 0


def _broad_by_rule() -> Iterator[Row]:
    table, result = parsed(BROAD).to_pandas(), result_of(BROAD)
    rejected = set(zip(result.quarantine["ticker"].to_pylist(), result.quarantine["date"].to_pylist(), strict=True))
    faults = {
        "`no_trade`, `missing_open`, `non_positive_price`": ("a price of 0", (table[PRICES] <= 0).any(axis=1)),
        "`high_below_low` and others": ("high below low", table.high < table.low),
    }
    for name, (what, faulty) in faults.items():
        keys = set(zip(table.ticker[faulty], table.date[faulty], strict=True))
        yield name, f"broad file: {what}", len(keys), len(keys & rejected), len(keys - rejected), 0
    outside = np.maximum(table.open, table.close) > table.high * 1.05
    outside |= np.minimum(table.open, table.close) * 1.05 < table.low
    # On 2015-08-24 trading began late, and many official closes lie outside the range of the day.
    outside &= (table[PRICES] > 0).all(axis=1) & (table.high >= table.low) & (table.date != dt.date(2015, 8, 24))
    keys = set(zip(table.ticker[outside], table.date[outside], strict=True))
    found = len(keys & rejected)
    yield "`price_outside_range`", "broad file: rows of two series, off by 5 %", len(keys), found, len(keys) - found, 0


def gate() -> Iterator[Row]:
    """Which tickers a run would fail by."""
    yield "data", "bars", "rejected, counted by the gate", "of all bars", "tickers over 25 %", "reasons"
    gated = [rule.reason for rule in of_action("reject") if rule.gated]
    for name in (DROPS, BROAD):
        counts = {ticker: each for ticker, each in result_of(name).counts.items() if ticker}
        rows = sum(each["rows"] for each in counts.values())
        by = Counter({reason: sum(each.get(reason, 0) for each in counts.values()) for reason in gated})
        over = [
            ticker for ticker, each in counts.items()
            if sum(each.get(reason, 0) for reason in gated) / each["rows"] > CONFIG.max_refused_fraction_ticker
        ]  # fmt: skip
        yield name, rows, by.total(), f"{by.total() / rows:.2%}", len(over), _words(by)


def _reason(result: Cleaned, reason: str) -> pa.Array:
    return pa.array([each == reason for each in result.quarantine["reason"].to_pylist()], pa.bool_())


def _words(by: Counter[str]) -> str:
    return ", ".join(f"{reason} {by[reason]}" for reason in (rule.reason for rule in RULES) if by[reason]) or "-"


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table; the first is its head."""
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * (lines[0].count(" | ") + 1), *lines[1:]])


def main() -> None:
    print(f"As of {dt.date.today()}, by `python benchmarks/data_quality.py`.\n")
    for title, part in {
        "Rules": rules,
        "By rule": by_rule,
        "Price cases": fault_cases,
        "Adjustment cases and controls": adjustment_cases,
        "Real moves": real_moves,
        "The gate": gate,
    }.items():
        print(f"### {title}\n\n{markdown(part())}\n")


if __name__ == "__main__":
    main()
