"""Speed of the network's inputs: windows a second of one thread, and made ahead by several.

    python benchmarks/inputs.py [--repeats=7] [--windows=131072] [--threads=1,2,4]

Windows of 50 bars of 8 features in random order, as training reads them. It compares `Relative.inputs` with the
formulas of dataset/inputs.py written down one by one in NumPy, which must give equal inputs up to rounding, then makes
inputs ahead with some numbers of threads. Contenders take turns; it prints medians, and ratios to the first. The first
two are measured in CPU time, so that other load on the machine counts less.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cloudlstm.dataset.ahead import ahead
from cloudlstm.dataset.inputs import CLIP, MIN_VOLATILITY, Relative
from cloudlstm.features import CLOSE, DAILY_RETURN, places_of

BATCH = 2048
"""Windows at once: a call has 16 steps of 128 windows for each of two devices."""

WINDOW_BARS = 50
BARS = 3_500_000
"""Bars of 1,000 tickers over 15 years."""

Windows = NDArray[np.float32]


def market() -> Windows:
    """Windows over random walks, without a copy (windows, window, feature)."""
    rng = np.random.default_rng(1)
    returns = rng.normal(0.0, 0.015, BARS)
    bars = np.empty((BARS, 8), np.float32)
    bars[:] = np.exp(4.0 + 0.02 * rng.standard_normal((BARS, 8)))
    bars[:, places_of("volume")] = np.exp(rng.normal(13.0, 0.5, (BARS, 1)))
    bars[:, places_of("return")] = returns[:, None]
    shape = (BARS - WINDOW_BARS + 1, WINDOW_BARS, 8)
    return np.lib.stride_tricks.as_strided(bars, shape, (bars.strides[0], *bars.strides))


def one_by_one(windows: Windows) -> Windows:
    """The inputs by one formula for each kind of feature, for all windows at once."""
    prices, volumes, changes = places_of("price"), places_of("volume"), places_of("return")
    daily = windows[:, :, DAILY_RETURN]
    volatility = np.maximum(np.sqrt(np.mean(daily * daily, axis=1)), np.float32(MIN_VOLATILITY))[:, None, None]
    out = np.empty_like(windows)
    logs = np.log(windows[:, :, prices] / windows[:, -1:, CLOSE, None])
    out[:, :, prices] = logs / (volatility * np.float32(math.sqrt(windows.shape[1])))
    for place in volumes:
        volume = np.log1p(np.maximum(windows[:, :, place], 0))
        volume -= volume.mean(axis=1, keepdims=True)
        out[:, :, place] = volume / np.maximum(volume.std(axis=1, keepdims=True), 1e-3)
    out[:, :, changes] = windows[:, :, changes] / volatility
    return np.clip(np.nan_to_num(out, nan=0.0, posinf=CLIP, neginf=-CLIP), -CLIP, CLIP)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--windows", type=int, default=131_072)
    parser.add_argument("--threads", default="1,2,4")
    args = parser.parse_args()
    every, transform, names = market(), Relative(1), np.empty(0, np.str_)
    order = np.random.default_rng(2).integers(0, len(every), args.windows)
    batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
    groups = [batches[at : at + 2] for at in range(0, len(batches), 2)]

    def ours(windows: Windows) -> Windows:
        return transform.inputs(windows, names)

    def call(group: list[NDArray[np.int64]]) -> None:
        for batch in group:
            ours(every[batch])

    def of_batches(function: Callable[[Windows], Windows]) -> float:
        began = time.thread_time()
        for batch in batches:
            function(every[batch])
        return time.thread_time() - began

    def by_threads(threads: int) -> float:
        began = time.perf_counter()
        for _ in ahead(call, groups, threads):
            pass
        return time.perf_counter() - began

    np.testing.assert_allclose(ours(every[batches[0]]), one_by_one(every[batches[0]]), rtol=1e-5, atol=1e-5)
    contenders: dict[str, Callable[[], float]] = {
        "formulas one by one": lambda: of_batches(one_by_one),
        "Relative.inputs": lambda: of_batches(ours),
    }
    for threads in map(int, args.threads.split(",")):
        contenders[f"calls ahead, {threads} thread{'s' if threads > 1 else ''}"] = lambda n=threads: by_threads(n)  # type: ignore[misc]
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(args.repeats):
        for name, measure in contenders.items():
            found[name].append(args.windows / measure())
    first = statistics.median(found["formulas one by one"])
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}, {args.windows:,} windows, {args.repeats} repeats in turn")
    for name, rates in found.items():
        rate = statistics.median(rates)
        print(f"{name:<24} {rate:10,.0f} windows/s ({min(rates):,.0f} to {max(rates):,.0f})  {rate / first:.2f} x")


if __name__ == "__main__":
    main()
