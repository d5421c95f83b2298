"""What a warm start is worth: loss and compute of a walk-forward that starts warm, against one that starts cold.

    python benchmarks/warm_start.py [--law=drift|jump] [--warm=1,2,3] [--seeds=3] [--folds=25] [--tickers=32]
                                    [--set=train.learning_rate=0.002]...

A simulated market (drifting_market.py) goes through `cloudlstm submit`, once cold and once for each number of warm
epochs. A fold has 21 sessions; the first fold is cold in both walks, and only the folds after it count. A loss is the
squared error of a return, of a date the mean over tickers and seeds; dates are the unit of the interval.

With --law=jump the law changes its sign after seven folds. The watch of the warm networks against naive
(models/watch.py) reads their losses: how many sessions after the jump is its alarm? And the gate (models/gate.py)
compares the cold networks with the warm ones from the jump on: when does it promote them? Without a jump both are
counted from the same session on, and should find nothing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import io
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parent / "peers"))
import drifting_market
import machine

from cloudlstm.errors import DataError
from cloudlstm.evaluation.significance import daily_means, diebold_mariano, ratio_interval
from cloudlstm.market.calendar import sessions, to_date
from cloudlstm.models import gate, watch
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.runs.paths import RunPaths

Array = NDArray[np.float64]

CALENDAR, START = "XNYS", dt.date(2014, 1, 2)
WINDOW, STEP = 20, 21
BEFORE_LABELS = 40
"""Sessions before the first label: look-back of the features, and a window."""
SPLITS = {"drift": (1008, 126), "jump": (252, 63)}
"""Law -> sessions of training and of validation. After a jump a short memory shows more."""
FOLDS_BEFORE_JUMP = 7


@dataclass(frozen=True, slots=True)
class Losses:
    """Test losses of a walk.

    Attributes:
        dates: Date of each row, as days since 1970-01-01, sorted (n,).
        seeds: Seed of each row (n,).
        model: Squared error (n,).
        naive: Squared error of a forecast of zero (n,).
        folds: Fold of each row (n,).
    """

    dates: NDArray[np.int32]
    seeds: NDArray[np.int64]
    model: Array
    naive: Array
    folds: NDArray[np.int32]

    @classmethod
    def of(cls, table: pa.Table) -> Losses:
        """The losses of a PREDICTIONS table; other splits than "test" are left out."""
        table = table.filter(pc.equal(table["split"], "test"))
        table = table.sort_by([(name, "ascending") for name in ("origin_date", "ticker", "seed")])
        actual, forecast = (table[name].to_numpy() for name in ("actual_return", "forecast_return"))
        dates = table["origin_date"].cast(pa.int32()).to_numpy()
        return cls(
            dates, table["seed"].to_numpy(), (actual - forecast) ** 2, actual**2, table["fold"].to_numpy()
        )  # fmt: skip

    def chosen(self, rows: NDArray[np.bool_]) -> Losses:
        """Some of the rows."""
        return Losses(*(getattr(self, name)[rows] for name in ("dates", "seeds", "model", "naive", "folds")))


@dataclass(frozen=True, slots=True)
class Walk:
    """A finished walk: its losses, and what the networks of the folds after the first have cost."""

    losses: Losses
    windows: int
    seconds: float
    epochs: float


def compute_of(members: list[dict[str, Any]]) -> tuple[int, float, float]:
    """Windows seen, seconds of training and mean epochs of the networks after the first fold."""
    later = [each for each in members if each["fold"] > 0]
    epochs = float(np.mean([each["epochs"] for each in later]))
    return sum(each["windows_seen"] for each in later), sum(each["training_seconds"] for each in later), epochs


def read_walk(run: RunPaths) -> Walk:
    """Reads a finished run."""
    manifest = Manifest.load(run, "train")
    assert manifest is not None
    rows = [row for row in manifest.objects if row.kind in ("predictions", "member_predictions")]
    table = pa.concat_tables([pq.read_table(io.BytesIO(read_object(row))) for row in rows])
    return Walk(Losses.of(table), *compute_of(manifest.facts["members"]))


def settings(law: str, days: NDArray[np.int32], seeds: int) -> list[str]:
    """The settings of all runs."""
    train, validation = (BEFORE_LABELS + sum(SPLITS[law][:parts]) for parts in (1, 2))
    dates = {
        "market.start": 0, "market.end": -1, "dataset.train_end": train - 1, "dataset.validation_end": validation - 1,
    }  # fmt: skip
    return [
        "market.source=files", "prepare.engine=local", f"market.calendar={CALENDAR}", f"dataset.window_bars={WINDOW}",
        *(f"{name}={to_date(int(days[place]))}" for name, place in dates.items()),
        "model.units=16", "model.dropout=0", "train.learning_rate=0.003", "train.batch_windows=512",
        f"train.seeds={seeds}", "train.epochs=40", "train.patience_epochs=6", "train.warmup_steps=10",
        "evaluation.walk.mode=rolling", f"evaluation.walk.step_bars={STEP}",
    ]  # fmt: skip


def submitted(folder: Path, words: list[str]) -> Walk:
    """Carries out a run and reads its walk."""
    root = folder / f"runs-{len(list(folder.iterdir()))}"
    command = [sys.executable, "-m", "cloudlstm", "submit", f"--root={root}", f"market.path={folder}/bars", *words]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    [found] = root.glob("*/config.json")
    return read_walk(RunPaths(found.parent.as_uri()))


def ratio(warm: Losses, cold: Losses) -> tuple[float, float | None, float | None]:
    """Loss of the warm networks over that of the cold ones, with its 95 % interval; dates are the unit."""
    assert np.array_equal(warm.dates, cold.dates)
    assert np.array_equal(warm.seeds, cold.seeds)
    top, bottom = daily_means(warm.model, warm.dates), daily_means(cold.model, cold.dates)
    return (float(top.mean() / bottom.mean()), *ratio_interval(top, bottom, 1))


def share(found: Losses) -> float:
    """R² out of sample against a forecast of zero; every date weighs the same."""
    return 1.0 - float(daily_means(found.model, found.dates).mean() / daily_means(found.naive, found.dates).mean())


def alarm_after(found: Losses, jump: int) -> tuple[int | None, int]:
    """Sessions after the jump until the alarm of loss drift, and sessions with an alarm before; None: no alarm.

    The watch is one of models/day.py: its bound is from 40 sessions before it begins, and it reads every session.

    Args:
        found: Losses of one seed.
        jump: The first date whose label has the new law.
    """
    differences = daily_means(found.model - found.naive, found.dates)
    dates = np.unique(found.dates)
    state, before, after = watch.Watch(gate.bound(differences[:40])), 0, None
    for date, difference in zip(dates[40:].tolist(), differences[40:].tolist(), strict=True):
        state = watch.advance(state, difference)
        before += state.alarm and date < jump
        if state.alarm and date >= jump and after is None:
            after = int(np.sum((dates >= jump) & (dates <= date)))
    return after, before


def promoted_after(champion: Losses, challenger: Losses, jump: int, challengers: int) -> tuple[int | None, str]:
    """Sessions after the jump until the gate promotes on skill, None if it does not, and how it ends.

    Args:
        champion: Losses of one seed of the line that serves.
        challenger: Losses of the same seed of the line that competes.
        jump: The gate opens at this date.
        challengers: The gate is corrected for so many.
    """
    differences = daily_means(champion.model - challenger.model, champion.dates)
    dates = np.unique(champion.dates)
    earlier = differences[dates < jump][-40:]
    try:
        state = gate.Gate(gate.bound(earlier), challengers)
    except DataError as error:
        return None, error.message
    for number, difference in enumerate(differences[dates >= jump].tolist(), 1):
        state = gate.advance(state, difference)
        decision = gate.decide(state)
        if decision.action != "wait":
            return (number if decision.action == "promote" else None), decision.reasons[0]
    return None, gate.decide(state).reasons[0]


def show_drift(name: str, warm: Walk, cold: Walk) -> None:
    """Prints loss and compute of a warm walk against the cold one."""
    ours, theirs = (each.losses.chosen(each.losses.folds > 0) for each in (warm, cold))
    found, low, high = ratio(ours, theirs)
    by_seed = [
        ratio(ours.chosen(ours.seeds == seed), theirs.chosen(theirs.seeds == seed))[0] for seed in np.unique(ours.seeds)
    ]
    ends = "no interval" if low is None or high is None else f"{low:.4f} to {high:.4f}"
    print(
        f"{name:<8} loss {found:.4f} of cold ({ends}); by seed {', '.join(f'{each:.4f}' for each in by_seed)}; "
        f"R2 {share(ours):.2%} (cold {share(theirs):.2%}); epochs {warm.epochs:.1f} (cold {cold.epochs:.1f}); "
        f"{cold.windows / warm.windows:.1f} x fewer windows, {cold.seconds / warm.seconds:.1f} x fewer seconds",
        flush=True,
    )


def show_live(name: str, warm: Walk, cold: Walk, since: int) -> None:
    """Prints alarm and promotion from a date on, by seed."""
    for seed in np.unique(warm.losses.seeds).tolist():
        ours, theirs = (each.losses.chosen(each.losses.seeds == seed) for each in (warm, cold))
        after, before = alarm_after(ours, since)
        promoted, reason = promoted_after(ours, theirs, since, challengers=2)
        later = ours.dates >= since
        test = diebold_mariano(theirs.model[later], ours.model[later], ours.dates[later], horizon=1)
        shares = [f"{share(each.chosen(each.dates >= since)):+.2%}" for each in (ours, theirs)]
        p = "no p" if test.p is None else f"p {test.p:.2g}"
        alarm = "no alarm" if after is None else f"alarm after {after} sessions"
        found = "not promoted" if promoted is None else f"promoted after {promoted} sessions"
        print(
            f"{name}, seed {seed}, from {to_date(since)} on: {alarm} (before: {before} sessions with one); the cold "
            f"line is {found} ({reason}); R2 {shares[0]} warm, {shares[1]} cold; Diebold-Mariano of cold against warm "
            f"{test.difference or 0.0:+.2%}, {p}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--law", choices=SPLITS, default="drift")
    parser.add_argument("--warm", default="1,2,3")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=25)
    parser.add_argument("--tickers", type=int, default=32)
    parser.add_argument("--market-seed", type=int, default=1)
    parser.add_argument("--set", action="append", default=[])
    args = parser.parse_args()
    test = BEFORE_LABELS + sum(SPLITS[args.law])
    number, jump = test + args.folds * STEP + 1, test + FOLDS_BEFORE_JUMP * STEP
    days = sessions(CALENDAR, START, START + dt.timedelta(days=number * 2))[:number]
    rng = np.random.default_rng(args.market_seed + 1000)
    law = drifting_market.coefficients(args.law, number, jump, rng)
    facts = machine.describe()
    print(f"{facts['processor']}, {facts['cores']} cores; commit {machine.state()['commit']}; load {machine.load()}")
    print(f"law from {law[0]:.2f} to {law[-1]:.2f}, least {law.min():.2f}, most {law.max():.2f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="warm-start-") as name:
        folder = Path(name).resolve()
        drifting_market.write(folder / "bars", days, law, args.tickers, args.market_seed)
        words = [*settings(args.law, days, args.seeds), *args.set]
        began = time.perf_counter()
        cold = submitted(folder, [*words, "evaluation.walk.start=cold"])
        dates = len(np.unique(cold.losses.dates[cold.losses.folds > 0]))
        print(f"cold: {time.perf_counter() - began:.0f} s, {dates} test dates after the first fold", flush=True)
        for epochs in map(int, args.warm.split(",")):
            walk = ["evaluation.walk.start=warm", f"evaluation.walk.warm_epochs={epochs}"]
            warm = submitted(folder, [*words, *walk])
            show_drift(f"warm {epochs}", warm, cold)
            # The label of the session before the jump is the first that has the new law.
            show_live(f"warm {epochs}", warm, cold, int(days[jump - 1]))
    print(f"load {machine.load()}")


if __name__ == "__main__":
    main()
