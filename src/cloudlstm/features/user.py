"""Features of the user's own code: loads them by name, checks their declarations, and computes them.

    own = load(["mypkg.features:MOMENTUM"])
    require_lookbacks(own)

A loaded feature has a kernel of ours around the user's. It gives the user's kernel arrays that cannot be changed,
checks what comes back, and blanks the first bars of each segment. It is pickled by its name, so tasks on other machines
import the user's package there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, get_args

import numpy as np

from cloudlstm.errors import UserCodeError
from cloudlstm.features.lookback import SOURCES, Dependence, Values, find_dependence
from cloudlstm.features.table import FEATURE_NAMES, Feature, Kind, blank_first, kernel_values, sources_of
from cloudlstm.runs import user_code

LONGEST_LOOKBACK_BARS = 2048


def load(names: Sequence[str], taken: Collection[str] = FEATURE_NAMES) -> tuple[Feature, ...]:
    """Loads features of the user's code and checks their declarations; their kernels are not called.

    Args:
        names: Of the objects, as `package.module:NAME`.
        taken: Names that other columns of the feature table have.

    Raises:
        UserCodeError: an object is not there, is no Feature, or its declaration is not usable.
    """
    _declared.cache_clear()  # in a notebook, the package may have changed since an earlier submit
    found: list[Feature] = []
    for name in names:
        feature = _declared(name)
        _require_usable(feature, name, {*taken, *(each.name for each in found)})
        kernel = None if feature.kernel is None else OwnKernel(name, feature.name, feature.lookback_bars)
        source = feature.source if isinstance(feature.source, str) else tuple(feature.source)  # can be hashed
        found.append(replace(feature, kernel=kernel, source=source))
    return tuple(found)


def require_lookbacks(features: Sequence[Feature]) -> None:
    """Tries the kernels of loaded features on random bars; see `lookback`.

    Args:
        features: Those from `load` are tried; others have tests of their own.

    Raises:
        UserCodeError: a kernel failed, or a value depends on more than its look-back bars.
    """
    for feature in features:
        if not isinstance(feature.kernel, OwnKernel):
            continue
        if found := find_dependence(partial(kernel_values, feature), feature.lookback_bars):
            raise _dependence_error(feature, found)


@dataclass(frozen=True, slots=True)
class OwnKernel:
    """The kernel of a feature of the user's, with checks around it.

    Attributes:
        name: The feature's object, as `package.module:NAME`.
        feature: The feature's name.
        lookback_bars: Its look-back.
    """

    name: str
    feature: str
    lookback_bars: int

    def __call__(self, *arguments: Any) -> Values:
        """The values, (bars,): NaN where the segment has fewer bars than the look-back, or the kernel gives no number.

        Args:
            arguments: The source columns, (bars,) each, then the row at which each segment starts.

        Raises:
            UserCodeError: the kernel raised an exception, or gave something else than one float64 a bar.
        """
        *columns, starts = arguments
        bars = len(columns[0])
        if bars < self.lookback_bars:  # no value is complete, and few kernels expect such tables
            return np.full(bars, np.nan)
        kernel = _declared(self.name).kernel
        assert kernel is not None
        try:
            with np.errstate(all="ignore"):
                given = kernel(*map(_read_only, columns), _read_only(starts))
        except Exception as error:
            raise user_code.failure(f"the kernel of the feature {self.feature} failed", error, self.name) from error
        if not isinstance(given, np.ndarray) or given.shape != (bars,) or given.dtype != np.float64:
            found = f"{given.dtype} {given.shape}" if isinstance(given, np.ndarray) else type(given).__name__
            raise UserCodeError(
                f"the kernel of the feature {self.feature} ({self.name}) gave {found} for {bars} bars, not one "
                f"float64 a bar, ({bars},)",
                hint="np.asarray(values, np.float64)",
            )
        values = np.where(np.isfinite(given), given, np.nan)
        return blank_first(values, starts, self.lookback_bars - 1)


@lru_cache(maxsize=64)
def _declared(name: str) -> Feature:
    """The feature as the user declared it."""
    found = user_code.load_object(name)
    if not isinstance(found, Feature):
        raise UserCodeError(
            f"features.extra: {name} is a {type(found).__name__}, not a cloudlstm.features.Feature",
            hint='Feature("momentum", "return", "fraction", 10, "close", kernel)',
        )
    return found


def _read_only(array: Any) -> Any:
    view = array.view()
    view.flags.writeable = False
    return view


def _require_usable(feature: Feature, name: str, taken: Collection[str]) -> None:
    """Raises UserCodeError if a declaration cannot become a column of the feature table."""
    kinds, sources = get_args(Kind), sources_of(feature)
    lookback, what = feature.lookback_bars, f"features.extra: {name}"
    if not isinstance(feature.name, str) or not feature.name.isidentifier():
        raise UserCodeError(
            f"{what} is called {feature.name!r}", hint="letters, digits and underscores, as momentum_10"
        )
    if feature.name.lower() in {each.lower() for each in taken}:
        raise UserCodeError(f"{what} is called {feature.name}, as another column of the table", hint="another name")
    if feature.kind not in kinds:
        raise UserCodeError(f"{what} is of the kind {feature.kind!r}, which is not known", hint=", ".join(kinds))
    if not isinstance(lookback, int) or isinstance(lookback, bool) or not 1 <= lookback <= LONGEST_LOOKBACK_BARS:
        raise UserCodeError(
            f"{what} has a look-back of {lookback!r} bars",
            hint=f"a whole number from 1, which counts the bar itself, to {LONGEST_LOOKBACK_BARS}",
        )
    if not sources or (unknown := [each for each in sources if each not in SOURCES]):
        named = ", ".join(map(str, unknown)) if sources else "no column"
        raise UserCodeError(f"{what} has the source {named}, which is no column of bars", hint=", ".join(SOURCES))
    if feature.group != "bars":
        raise UserCodeError(
            f"{what} is of the group {feature.group!r}, and features of your code are computed from bars",
            hint="leave group out",
        )
    if feature.kernel is not None and not callable(feature.kernel):
        raise UserCodeError(f"{what} has a kernel that is no function", hint="def kernel(values, starts): ...")
    if feature.kernel is None and len(sources) > 1:
        raise UserCodeError(f"{what} has several sources and no kernel", hint="a kernel that takes each of them")


def _dependence_error(feature: Feature, found: Dependence) -> UserCodeError:
    """The refusal of a kernel: which feature, at which bar, how far it looks, and what to do."""
    assert isinstance(feature.kernel, OwnKernel)
    which, back = f"the feature {feature.name} ({feature.kernel.name})", feature.lookback_bars
    where = f"in a trial its value at bar {found.bar} of {found.bars} changes"
    if found.reason == "later bars":
        return UserCodeError(
            f"{which} looks ahead: {where} with a bar {found.reach} later",
            hint="compute a value from its own bar and bars before it: no shift by -n, centred window, or statistic "
            "of a whole column",
        )
    if found.reason == "bars before the look-back":
        return UserCodeError(
            f"{which} looks back further than its {back} bars: {where} with a bar {found.reach} earlier",
            hint=f"lookback_bars={found.reach + 1} if that is meant. Cumulative sums and exponential means depend on "
            "all earlier bars, if only in their last bits: add the bars of the look-back instead",
        )
    if found.reason == "where the segment begins":
        return UserCodeError(
            f"{which} depends on where its segment begins: {where} if bars before its look-back are left out",
            hint="count from the bar itself, not from the first row",
        )
    return UserCodeError(
        f"{which} gives other values for the same bars: {where} in a second call",
        hint="no random numbers, and nothing kept from call to call",
    )
