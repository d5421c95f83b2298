"""Features of the user's own code: loaded by name, checked, computed, and refused with what to do."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cloudlstm.errors import UserCodeError
from cloudlstm.features import user
from cloudlstm.features.table import sources_of

SOURCE = """
import numpy as np
from cloudlstm.features import Feature

def momentum(close, starts):
    out = np.full(len(close), np.nan)
    out[3:] = close[3:] / close[:-3] - 1
    return out

def spread(high, low, starts):
    return np.log(high / low)

MOMENTUM = Feature("momentum", "return", "fraction", 4, "close", momentum)
SPREAD = Feature("spread", "return", "fraction", 1, ("high", "low"), spread)
NOT_ONE = 7
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a module of the user's, in the present folder."""
    path = tmp_path / "ownpkg" / "features.py"
    path.parent.mkdir()
    (path.parent / "__init__.py").touch()
    path.write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    yield path
    user._declared.cache_clear()
    for name in [each for each in sys.modules if each.partition(".")[0] == "ownpkg"]:
        del sys.modules[name]


def refusal(package: Path, declared: str, body: str = "return values * 1.0") -> str:
    """What is said of a feature with this declaration, or this body of its kernel."""
    package.write_text(f"{SOURCE}\ndef kernel(values, starts):\n    {body}\n\nTRIED = {declared}\n")
    with pytest.raises(UserCodeError) as caught:
        user.require_lookbacks(user.load(["ownpkg.features:TRIED"]))
    return str(caught.value)


GOOD = 'Feature("tried", "return", "fraction", 3, "close", kernel)'


def test_a_feature_is_computed_from_its_look_back_and_blank_before_it() -> None:
    [feature] = user.load(["ownpkg.features:MOMENTUM"])
    user.require_lookbacks([feature])
    close, starts = np.arange(1.0, 13.0), np.array([0, 2, 7])
    assert feature.kernel is not None
    values = feature.kernel(close, starts)
    assert np.flatnonzero(~np.isnan(values)).tolist() == [5, 6, 10, 11]
    assert values[5] == close[5] / close[2] - 1
    assert close.flags.writeable


def test_a_feature_may_have_several_sources() -> None:
    [feature] = user.load(["ownpkg.features:SPREAD"])
    user.require_lookbacks([feature])
    assert sources_of(feature) == ("high", "low")
    assert feature.kernel is not None
    high, low = np.array([2.0, 3.0]), np.array([1.0, 0.0])
    np.testing.assert_array_equal(feature.kernel(high, low, np.array([0])), [np.log(2.0), np.nan])


def test_a_loaded_feature_is_pickled_by_its_name(package: Path) -> None:
    """So a task on another machine imports the package that it got."""
    [feature] = user.load(["ownpkg.features:MOMENTUM"])
    data = pickle.dumps(feature)
    assert b"momentum(" not in data
    package.write_text(SOURCE.replace("- 1", "- 2"))
    user._declared.cache_clear()
    kernel = pickle.loads(data).kernel
    close = np.arange(1.0, 6.0)
    np.testing.assert_array_equal(kernel(close, np.array([0]))[3:], close[3:] / close[:2] - 2)


def test_no_bars_and_few_bars_need_no_kernel() -> None:
    [feature] = user.load(["ownpkg.features:MOMENTUM"])
    assert feature.kernel is not None
    assert feature.kernel(np.zeros(0), np.zeros(0, np.intp)).shape == (0,)
    assert np.isnan(feature.kernel(np.ones(3), np.array([0]))).all()


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("NOT_ONE", "ownpkg.features:TRIED is a int, not a cloudlstm.features.Feature"),
        (GOOD.replace('"tried"', '"close"'), "is called close, as another column of the table"),
        (GOOD.replace('"tried"', '"Daily_Return"'), "is called Daily_Return, as another column"),
        (GOOD.replace('"tried"', '"my feature"'), "is called 'my feature'"),
        (GOOD.replace('"return"', '"growth"'), "is of the kind 'growth', which is not known (try: price, volume"),
        (GOOD.replace("3", "0"), "has a look-back of 0 bars"),
        (GOOD.replace("3", "2049"), "has a look-back of 2049 bars"),
        (GOOD.replace('"close"', '"adj_close"'), "has the source adj_close, which is no column of bars"),
        (GOOD.replace('"close"', "()"), "has the source no column"),
        (GOOD.replace("kernel", "7"), "has a kernel that is no function"),
        (GOOD.replace('"close", kernel', '("open", "close")'), "has several sources and no kernel"),
    ],
)
def test_a_declaration_that_cannot_be_used_is_refused(package: Path, declared: str, message: str) -> None:
    assert message in refusal(package, declared)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return np.append(values[1:], 0.0)", "looks ahead: .* changes with a bar 1 later"),
        ("return np.roll(values, 3)", "looks "),
        ("return np.cumsum(values)", r"looks back further than its 3 bars: .*lookback_bars=\d+ if that is meant"),
        ("return np.arange(len(values), dtype=float)", "depends on where its segment begins"),
        ("return np.random.default_rng().normal(size=len(values))", "gives other values for the same bars"),
        ("return values[1:]", r"gave float64 \(\d+,\) for \d+ bars"),
        ("return values.astype('float32')", r"gave float32 \(\d+,\) for"),
        ("return list(values)", "gave list for"),
        ("values[0] = 1; return values", r"failed: ValueError: assignment .* read-only \(ownpkg/features.py, line \d+"),
        ("return values / undefined", r"failed: NameError: name 'undefined' is not defined \(ownpkg/features.py, line"),
    ],
)
def test_a_kernel_that_breaks_the_contract_is_refused(package: Path, body: str, message: str) -> None:
    said = refusal(package, GOOD, body)
    assert "the feature tried" in said
    assert re.search(message, said), said


def test_names_are_compared_with_those_of_other_features_too() -> None:
    with pytest.raises(UserCodeError, match="is called spread, as another column"):
        user.load(["ownpkg.features:SPREAD"], taken=["spread"])
