"""Which of several runs is taken for right, and what counts as a difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cloudlstm.benchmark.equality import Evidence, compare_data, compare_training
from cloudlstm.evaluation.forecasts import Forecasts


def of_bytes(digests: str) -> list[Evidence]:
    """One run for each letter; equal letters are equal bytes."""
    return [Evidence(f"run-{number}", digest=letter) for number, letter in enumerate(digests, 1)]


def forecasts(values: Sequence[float]) -> Forecasts:
    n = len(values)
    found = np.asarray(values, np.float64)
    return Forecasts(
        ("A",), ticker=np.zeros(n, np.int32), origin=np.arange(n, dtype=np.int32),
        target=np.arange(1, n + 1, dtype=np.int32), last_close=np.ones(n), actual=np.zeros(n), models={"lstm": found},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("digests", "right", "unequal"),
    [("aaaa", "run-1", ()), ("abbb", "run-2", ("run-1",)), ("aab", "run-1", ("run-3",)),
     ("aabb", "run-1", ("run-3", "run-4")), ("abbcd", "run-2", ("run-1", "run-4", "run-5")), ("a", "run-1", ())],
)  # fmt: skip
def test_the_result_of_most_runs_is_right_and_in_a_tie_that_of_the_first(
    digests: str, right: str, unequal: tuple[str, ...]
) -> None:
    check, reasons = compare_data("6 tickers", of_bytes(digests))
    assert check.equal[0] == right
    assert check.unequal == unequal == tuple(reasons)
    assert all(reason.endswith(f"those of run {right}") for reason in reasons.values())
    assert check.largest == (0.0 if len(check.equal) > 1 else None)


def test_runs_that_agree_are_each_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudlstm.benchmark import equality

    pairs = []

    def difference(one: Evidence, other: Evidence) -> float:
        pairs.append((one.run, other.run))
        return 0.0

    monkeypatch.setattr(equality, "_loss_difference", difference)
    compare_training("6 tickers", of_bytes("a" * 20))
    assert len(pairs) == 19


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_forecast_that_is_not_a_number_hides_no_difference(place: int) -> None:
    values = [200.0, 2.0, 3.0]
    values[place] = np.nan
    runs = [
        Evidence("one", forecasts={"test": forecasts([1.0, 2.0, 3.0])}),
        Evidence("two", forecasts={"test": forecasts(values)}),
    ]
    (_, check), unequal = compare_training("6 tickers", runs)
    assert check.equal == ("one",)
    assert list(unequal) == ["two"]


def test_a_loss_that_is_not_a_number_is_unequal_after_epoch_0() -> None:
    good = np.array([[np.nan, 1.0], [0.9, 0.8]])
    bad = np.array([[np.nan, 1.0], [np.nan, 0.8]])
    (check, _), unequal = compare_training("6 tickers", [Evidence(str(n), losses=bad) for n in range(2)])
    assert list(unequal) == ["1"]
    assert check.largest is None
    (check, _), unequal = compare_training("6 tickers", [Evidence(str(n), losses=good) for n in range(2)])
    assert not unequal
    assert check.largest == 0.0
