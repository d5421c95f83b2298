"""The step from one state to the next: a pure function of the state and new bars.

Any cut of a stream into batches gives the same features, bit for bit those of the batch pipeline: the state has the
look-back of every feature, and the features of a bar depend on nothing else.

A bar is used once, when it first comes. What comes later for the same minute, or for a minute before the ticker's last
one, changes nothing: an equal bar is counted as doubled, another one is a correction. Within one batch bars are put in
order first, and of several for one minute the last final one counts, else the last one.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cloudlstm.market import columns
from cloudlstm.stream.bars import BARS, VALUES, Refused
from cloudlstm.stream.kernel import Kernel
from cloudlstm.stream.sessions import NO_PLACE, NO_SESSION, Places, Sessions
from cloudlstm.stream.state import Rows, State, keys

CLOSE, VOLUME = VALUES.index("close"), VALUES.index("volume")

CORRECTIONS = pa.schema([*BARS, *((f"used_{name}", pa.float64()) for name in VALUES), ("used_minute", pa.int64())])
"""Bars that came after another bar was used for their minute, or for a later minute of their ticker.

`used_open` and so on are the values that were used; null if no bar was used for this minute, or if it is no longer
remembered. `used_minute` is the ticker's last minute when the bar came.
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """How bars become features.

    Attributes:
        sessions: The bars that there can be.
        kernel: Computes features.
        keep_bars: Bars of each ticker and segment that the state keeps: the look-back and the window, each less one.
        max_fill_bars: Most missing bars between two bars that are filled, as in cleaning: with the last close and no
            volume. After more, a new segment begins.
        bridged: Whether a segment may reach over a close. By default each session begins a segment.
        provisional: Whether bars that are not final are used.
        until: The last moment at which a bar can have started, in seconds since 1970-01-01 UTC; None: any. One bar with
            a time in the future would else make all bars of its ticker until then corrections.
    """

    sessions: Sessions
    kernel: Kernel
    _: KW_ONLY
    keep_bars: int
    max_fill_bars: int = 0
    bridged: bool = False
    provisional: bool = True
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """What new bars gave.

    Attributes:
        tickers: All tickers, to which `code` refers.
        rows: The bars of the tickers with new bars: those of the state, then the new ones, by ticker and minute.
        new: The places of the new bars among them, filled ones included.
        features: Their features, (row, feature); the first rows of a segment lack the look-back.
        corrections: CORRECTIONS table.
        refused: Bars that are in no session, not on the grid, or in the future.
        counts: Numbers of bars: "used", "filled", "doubled", "replaced", "corrections", "waiting", "refused".
        untouched: The rows of the tickers without new bars.
    """

    tickers: tuple[str, ...]
    rows: Rows
    new: NDArray[np.intp]
    features: NDArray[np.float64]
    corrections: pa.Table
    refused: list[Refused]
    counts: dict[str, int]
    untouched: Rows
    keep_bars: int = field(repr=False, default=1)

    def state(self, forecast: NDArray[np.float64] | None = None) -> State:
        """The state after these bars.

        Args:
            forecast: The log-return forecast of each new bar, NaN without one; None for no forecasts.
        """
        chosen = _last_of_segment(self.rows, self.keep_bars)
        kept = self.rows.take(chosen)
        if forecast is not None and len(self.new):
            kept.forecast[:] = self.with_forecasts(forecast)[chosen]
        if len(self.untouched):
            kept = Rows.joined(self.untouched, kept)
            kept = kept.take(np.argsort(kept.keys(), kind="stable"))
        return State(self.tickers, kept)

    def with_forecasts(self, forecast: NDArray[np.float64]) -> NDArray[np.float64]:
        """The forecast at each of the rows, given those at the new ones."""
        every = self.rows.forecast.copy()
        every[self.new] = forecast
        return every

    def feature_table(self, names: tuple[str, ...]) -> pa.Table:
        """The new bars with their features, by ticker and minute."""
        rows, found = self.rows.take(self.new), self.features[self.new]
        return pa.table(
            {
                "ticker": columns.from_codes(rows.code, list(self.tickers)),
                "minute": rows.minute,
                "segment": rows.segment,
                "filled": rows.filled,
                "final": rows.final,
                **{name: np.ascontiguousarray(found[:, place]) for place, name in enumerate(names)},
            }
        )


def advance(state: State, bars: pa.Table, rules: Rules) -> Advanced:
    """Takes new bars.

    Args:
        state: The state before them.
        bars: BARS table, in the order of arrival.
        rules: How bars become features; the same for all batches of a stream.
    """
    codes, names = columns.codes(bars["ticker"])
    state = state.with_tickers([name for name in names if name is not None])
    place = {name: number for number, name in enumerate(state.tickers)}
    code = np.array([place[name] for name in names if name is not None], np.int32)[codes] if len(codes) else codes
    minute = columns.one_chunk(bars["minute"]).to_numpy()
    final = columns.one_chunk(bars["final"]).to_numpy(zero_copy_only=False)
    counts = dict.fromkeys(("used", "filled", "doubled", "replaced", "corrections", "waiting", "refused"), 0)

    ahead = np.zeros(len(minute), bool) if rules.until is None else minute > rules.until
    grid = rules.sessions.places(np.where(ahead, 0, minute))
    usable = ~ahead & (grid.session != NO_SESSION) & (grid.place != NO_PLACE)
    refused = [_refusal(bars, row, grid, ahead) for row in np.flatnonzero(~usable).tolist()]
    waiting = usable & ~final & (not rules.provisional)
    counts["refused"], counts["waiting"] = len(refused), int(waiting.sum())
    values = np.stack([columns.floats(bars[name]) for name in VALUES], axis=1)

    taken = np.flatnonzero(usable & ~waiting)
    taken, counts["doubled"], counts["replaced"] = _one_a_minute(taken, code, minute, final, values)
    known = state.rows
    last_row = _last_rows(known, len(state.tickers))
    last_minute = np.where(last_row >= 0, known.minute[last_row] if len(known) else -1, -1)
    late = minute[taken] <= last_minute[code[taken]]
    corrections, doubled = _corrections(bars, taken[late], code, minute, values, known, last_minute)
    counts["doubled"] += doubled
    counts["corrections"] = corrections.num_rows
    taken = taken[~late]
    counts["used"] = len(taken)

    is_touched = np.zeros(len(state.tickers), bool)
    is_touched[code[taken]] = True
    touched = is_touched[known.code]
    fresh = Rows(
        code=code[taken], minute=minute[taken], segment=minute[taken], session=grid.session[taken],
        place=grid.place[taken], left=grid.left[taken], filled=np.zeros(len(taken), bool), final=final[taken],
        sent=columns.floats(bars["sent"])[taken], forecast=np.full(len(taken), np.nan), values=values[taken],
    )  # fmt: skip
    rows = Rows.joined(known.take(touched), fresh)
    is_new = np.arange(len(rows)) >= int(touched.sum())
    order = np.argsort(rows.keys(), kind="stable")
    rows, is_new = _connected(rows.take(order), is_new[order], rules)
    counts["filled"] = int((rows.filled & is_new).sum())
    features = rules.kernel.compute(rows.values, group_numbers(rows)) if len(rows) else _none(rules.kernel)
    return Advanced(
        state.tickers, rows, np.flatnonzero(is_new), features, corrections, refused, counts, known.take(~touched),
        rules.keep_bars,
    )  # fmt: skip


def group_numbers(rows: Rows) -> NDArray[np.int32]:
    """Numbers the segments in the order of the rows, (row,)."""
    if not len(rows):
        return np.zeros(0, np.int32)
    begins = (rows.code[1:] != rows.code[:-1]) | (rows.segment[1:] != rows.segment[:-1])
    return np.concatenate([[0], np.cumsum(begins)]).astype(np.int32)


def _none(kernel: Kernel) -> NDArray[np.float64]:
    return np.zeros((0, len(kernel.names)))


def _one_a_minute(
    taken: NDArray[np.intp], code: NDArray[np.int32], minute: NDArray[np.int64], final: NDArray[np.bool_],
    values: NDArray[np.float64],
) -> tuple[NDArray[np.intp], int, int]:  # fmt: skip
    """One bar for each ticker and minute, by ticker and minute; the numbers of equal and of other bars left out."""
    key = keys(code[taken], minute[taken])
    if bool((key[1:] > key[:-1]).all()):
        return taken, 0, 0
    order = np.lexsort((final[taken], key))  # stable: of equals, the last arrival is last
    taken, key = taken[order], key[order]
    is_last = np.append(key[1:] != key[:-1], True)[: len(key)]
    chosen = taken[is_last]
    winner = chosen[np.cumsum(is_last) - is_last]  # the bar that counts for the minute of each
    others = ~is_last
    same = (values[taken[others]] == values[winner[others]]).all(axis=1)
    return chosen, int(same.sum()), int((~same).sum())


def _last_rows(rows: Rows, tickers: int) -> NDArray[np.intp]:
    """The last row of each ticker, (ticker,); -1 without one."""
    found = np.full(tickers, -1, np.intp)
    found[rows.code] = np.arange(len(rows))  # the last of equal places counts
    return found


def _corrections(
    bars: pa.Table, late: NDArray[np.intp], code: NDArray[np.int32], minute: NDArray[np.int64],
    values: NDArray[np.float64], known: Rows, last_minute: NDArray[np.int64],
) -> tuple[pa.Table, int]:  # fmt: skip
    """The late bars as a CORRECTIONS table, and the number of those that are equal to the bar that was used."""
    used = np.full((len(late), len(VALUES)), np.nan)
    if len(late) and len(known):
        have, wanted = known.keys(), keys(code[late], minute[late])
        at = np.minimum(np.searchsorted(have, wanted), len(have) - 1)
        found = have[at] == wanted
        used[found] = known.values[at[found]]
    doubled = (used == values[late]).all(axis=1)
    rest, used = late[~doubled], used[~doubled]
    table = bars.select(BARS.names).take(pa.array(rest))
    for place, name in enumerate(VALUES):
        table = table.append_column(f"used_{name}", pa.array(np.ascontiguousarray(used[:, place]), from_pandas=True))
    return table.append_column("used_minute", pa.array(last_minute[code[rest]])), int(doubled.sum())


def _connected(rows: Rows, is_new: NDArray[np.bool_], rules: Rules) -> tuple[Rows, NDArray[np.bool_]]:
    """Sets the segments of new rows and fills short gaps before them.

    Args:
        rows: By ticker and minute.
        is_new: Marks the new rows.
        rules: For the sessions and the longest gap that is filled.
    """
    if not is_new.any():
        return rows, is_new
    same = np.zeros(len(rows), bool)
    same[1:] = rows.code[1:] == rows.code[:-1]
    if not rules.bridged:
        same[1:] &= rows.session[1:] == rows.session[:-1]
    missing = np.zeros(len(rows), np.int64)
    after = np.flatnonzero(is_new & same)
    number, before = np.split(rules.sessions.numbers(rows.minute[np.concatenate([after, after - 1])]), 2)
    missing[after] = number - before - 1
    goes_on = same & is_new & (missing <= rules.max_fill_bars)
    anchor = np.maximum.accumulate(np.where(goes_on, 0, np.arange(len(rows))))
    segment = rows.segment[anchor]
    rows.segment[:] = segment
    fills = np.where(goes_on, missing, 0)
    if not fills.any():
        return rows, is_new
    copies = fills + 1
    source = np.repeat(np.arange(len(rows)), copies)
    nth = np.arange(len(source)) - np.repeat(np.cumsum(copies) - copies, copies)  # the last of each is the bar itself
    is_fill = nth < np.repeat(fills, copies)
    out = rows.take(source)
    back = (np.repeat(fills, copies) - nth)[is_fill]
    minutes = rules.sessions.starts(rules.sessions.numbers(out.minute[is_fill]) - back)
    places = rules.sessions.places(minutes)
    out.minute[is_fill] = minutes
    out.session[is_fill], out.place[is_fill], out.left[is_fill] = places.session, places.place, places.left
    out.filled[is_fill], out.sent[is_fill] = True, np.nan
    close = rows.values[source[is_fill] - 1, CLOSE]
    out.values[is_fill] = close[:, None]
    out.values[is_fill, VOLUME] = 0.0
    return out, is_new[source]


def _last_of_segment(rows: Rows, keep: int) -> NDArray[np.intp]:
    """The last rows of each ticker's last segment, at most `keep` and at least one."""
    if not len(rows):
        return np.zeros(0, np.intp)
    ends = np.append(np.flatnonzero(rows.code[1:] != rows.code[:-1]), len(rows) - 1)
    lengths = np.diff(np.append(-1, ends))
    from_end = np.repeat(ends, lengths) - np.arange(len(rows))
    of_last = rows.segment == np.repeat(rows.segment[ends], lengths)
    return np.flatnonzero(of_last & (from_end < max(keep, 1)))


def _refusal(bars: pa.Table, row: int, grid: Places, ahead: NDArray[np.bool_]) -> Refused:
    bar: dict[str, Any] = {name: bars[name][row].as_py() for name in ("ticker", "minute", "source")}
    if ahead[row]:
        reason = "it starts in the future, by the clock of the stream"
    else:
        outside = grid.session[row] == NO_SESSION
        reason = "it is in no session of the exchange" if outside else "its minute is not on the grid of the interval"
    return Refused(bar["source"] or "", reason, bar["ticker"], bar["minute"])
