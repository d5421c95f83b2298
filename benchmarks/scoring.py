"""Headlines a second: the scorers, from scoring to rows, and how new each headline is.

    python benchmarks/scoring.py [--headlines=100000] [--tickers=6] [--processes=2] [--lexicon=FILE]

Headlines are made of words that VADER knows and of others; all are different, as with the worst case of real news. They
are spread over ten years. `--tickers=1` with few years would be the worst case for novelty. The engine is that of a run
without Spark. The second line of a scorer is a second run of the same headlines, whose scores are in the cache.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.append(str(Path(__file__).resolve().parent / "peers"))
import machine

from cloudlstm.config.exogenous import NewsConfig
from cloudlstm.exogenous.scoring.headlines import novelty_table, ordered, score_headlines
from cloudlstm.exogenous.scoring.scorer import open_scorer
from cloudlstm.exogenous.table import HEADLINES
from cloudlstm.pipeline.local_engine import LocalEngine

TEN_YEARS_US = 3650 * 86_400_000_000
WORDS = """shares stock market company quarter earnings estimates revenue profit loss beats misses raises cuts outlook
fears surges plunges great strong weak good bad not very but lawsuit fraud wins award growth decline record price target
analyst upgrade downgrade buy sell hold dividend CEO resigns launches product chip cloud phone car the a of to in on"""


def make_headlines(number: int, tickers: int, seed: int = 1) -> pa.Table:
    """Different headlines of ten to sixteen words, at random times of ten years, by ticker."""
    rng, words = np.random.default_rng(seed), WORDS.split()
    texts = [
        f"{' '.join(rng.choice(words, size))} {place}"
        for place, size in enumerate(rng.integers(9, 16, number).tolist())
    ]
    times = rng.integers(0, TEN_YEARS_US, number)
    return pa.table(
        [
            pa.array([f"T{each:04d}" for each in rng.integers(0, tickers, number)]),
            pa.array(times // 86_400_000_000, pa.int32()).cast(pa.date32()),
            pa.array(times).cast(pa.timestamp("us", "UTC")),
            pa.array(texts),
            pa.array(["benchmark"] * number),
        ],
        schema=HEADLINES,
    )


def measure(news: NewsConfig, table: pa.Table, processes: int) -> None:
    """Scores all headlines twice and prints both times."""
    with tempfile.TemporaryDirectory() as folder, LocalEngine(processes) as engine:
        root = f"file://{folder}/{secrets.token_hex(4)}"
        for name in (news.scorer, f"{news.scorer}, again"):
            began = time.perf_counter()
            found = score_headlines(table, open_scorer(news), root=root, novelty_days=news.novelty_days, run=engine.map)
            show(name, time.perf_counter() - began, table.num_rows, f"{found.scored:,} scored")


def show(name: str, seconds: float, rows: int, more: str = "") -> None:
    """Prints one line of figures."""
    print(f"{name:16} {seconds:8.2f} s {rows / seconds:12,.0f} headlines/s   {more}", flush=True)


def main() -> None:
    """Measures, and prints the figures."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--headlines", type=int, default=100_000)
    parser.add_argument("--tickers", type=int, default=6)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--lexicon", help="a dictionary in the form of Loughran-McDonald's")
    flags = parser.parse_args()
    table = make_headlines(flags.headlines, flags.tickers)
    facts = machine.describe()
    print(f"{facts['processor']}, {facts['cores']} cores, load {machine.load():.1f}")
    print(f"{flags.headlines:,} different headlines, {flags.tickers} tickers, {flags.processes} processes")
    sorted_table = ordered(table)
    began = time.perf_counter()
    novelty_table(sorted_table, 7)
    show("novelty", time.perf_counter() - began, flags.headlines)
    measure(NewsConfig(), table, flags.processes)
    if flags.lexicon:
        measure(NewsConfig(scorer="lexicon", lexicon=flags.lexicon), table, flags.processes)


if __name__ == "__main__":
    main()
