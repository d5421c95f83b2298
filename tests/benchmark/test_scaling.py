"""Amdahl's law: the fit finds the serial share, and bounds it where times are not as the law has them."""

from __future__ import annotations

import numpy as np
import pytest

from cloudlstm.benchmark.scaling import amdahl, relative_fit


@pytest.mark.parametrize("share", [0.0, 0.07, 0.5, 1.0])
def test_the_share_of_exact_times_is_found(share: float) -> None:
    law = amdahl([(n, 20.0 * (share + (1.0 - share) / n)) for n in (1, 2, 4, 8)])
    assert law == pytest.approx((20.0, share, 0.0), abs=1e-9)


def test_several_cells_with_the_same_number_count() -> None:
    law = amdahl([(1, 10.0), (2, 6.0), (2, 8.0)])
    assert law
    one_s, share, error = law
    assert one_s == pytest.approx(10.0, rel=1e-6)
    assert 6.0 < one_s * (share + (1.0 - share) / 2) < 8.0
    assert error > 0.05


def test_noise_moves_the_share_a_little() -> None:
    noise = np.random.default_rng(1).normal(1.0, 0.02, 4)
    law = amdahl([(n, 20.0 * (0.2 + 0.8 / n) * each) for n, each in zip((1, 2, 4, 8), noise, strict=True)])
    assert law
    assert law[1] == pytest.approx(0.2, abs=0.05)
    assert 0.0 < law[2] < 0.05


@pytest.mark.parametrize(("points", "share"), [([(1, 1.0), (2, 1.3)], 1.0), ([(1, 1.0), (2, 0.3)], 0.0)])
def test_times_outside_the_law_give_its_ends(points: list[tuple[int, float]], share: float) -> None:
    """More processes that are slower; a speed-up above the number of processes."""
    law = amdahl(points)
    assert law
    assert law[1] == share
    assert law[2] > 0.1


@pytest.mark.parametrize("points", [[], [(1, 3.0)], [(2, 3.0), (2, 4.0)]])
def test_one_number_has_no_law(points: list[tuple[int, float]]) -> None:
    assert amdahl(points) is None


def test_no_coefficient_is_below_zero() -> None:
    sizes, cores = np.array([6.0, 6.0, 100.0, 100.0]), np.array([1.0, 2.0, 1.0, 2.0])
    columns = [sizes, sizes / cores, np.ones(4)]
    exact = 0.002 * sizes + 0.01 * sizes / cores + 0.5
    assert relative_fit(columns, exact) == pytest.approx([0.002, 0.01, 0.5])
    less = 0.01 * sizes / cores - 0.01
    assert min(relative_fit(columns, less)) == 0.0
