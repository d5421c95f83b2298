"""Reads the forecasts of all networks of a run, fold by fold, and joins the folds."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from cloudlstm.errors import DataError
from cloudlstm.evaluation.forecasts import Forecasts, splits_of
from cloudlstm.evaluation.significance import FloatArray
from cloudlstm.runs.manifest import Manifest, read_object
from cloudlstm.training.results import member_of, several

_SPLITS = ("validation", "test", "forecast")


def read_folds(train: Manifest, ablation: str = "") -> list[dict[str, Forecasts]]:
    """The forecasts of every fold by split, with those of each seed in `members` and of the first seed as "lstm".

    Args:
        train: The manifest of the step "train".
        ablation: The group of inputs of networks of an ablation; "" for the networks of the run itself.

    Raises:
        DataError: there are no forecasts, one is not finite, or the networks of a fold have forecast other labels.
    """
    rows = several(train, "predictions", ablation)
    if not rows:
        raise DataError("training wrote no predictions", hint="submit again: training then runs again")
    folds: dict[int, dict[str, Forecasts]] = {}
    for row in rows:
        member = member_of(row)
        own = splits_of(pq.read_table(io.BytesIO(read_object(row))), _SPLITS)
        fold = folds.setdefault(member.fold, own)
        for split, forecasts in own.items():
            known = fold.get(split)
            if known is None or not _same_labels(known, forecasts):
                raise DataError(
                    f"{row.uri} forecasts other labels in {split} than the first network of its fold",
                    hint="submit again with another run name",
                )
            known.members[member.seed] = forecasts.models["lstm"]
    return [folds[number] for number in sorted(folds)]


def _same_labels(one: Forecasts, other: Forecasts) -> bool:
    return (
        one.tickers == other.tickers
        and np.array_equal(one.ticker, other.ticker)
        and np.array_equal(one.origin, other.origin)
    )


def pool(parts: Sequence[Forecasts]) -> tuple[Forecasts, npt.NDArray[np.intp]]:
    """The labels of several folds as one list, ordered by ticker, then by origin date.

    Args:
        parts: The same split of every fold, with the same models.

    Returns:
        The labels, and the number of the fold of each (n,).
    """
    tickers = tuple(sorted({name for part in parts for name in part.tickers}))
    place = {name: number for number, name in enumerate(tickers)}
    codes = [np.array([place[name] for name in part.tickers], np.intp)[part.ticker] for part in parts]
    origin = np.concatenate([part.origin for part in parts])
    order = np.lexsort((origin, np.concatenate(codes)))

    def joined(arrays: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
        return np.concatenate(list(arrays))[order]

    def by_name(maps: Sequence[Mapping[str, FloatArray] | Mapping[int, FloatArray]]) -> dict:  # type: ignore[type-arg]
        return {name: joined([each[name] for each in maps]) for name in maps[0]}  # type: ignore[index]

    known = [part.sessions for part in parts if part.sessions is not None]
    sessions = np.concatenate(known, axis=1)[:, order] if known else None
    whole = Forecasts(
        tickers,
        joined(codes),  # type: ignore[arg-type]
        joined([part.origin for part in parts]),  # type: ignore[arg-type]
        joined([part.target for part in parts]),  # type: ignore[arg-type]
        joined([part.last_close for part in parts]),  # type: ignore[arg-type]
        joined([part.actual for part in parts]),  # type: ignore[arg-type]
        by_name([part.models for part in parts]),
        by_name([part.members for part in parts]),
        parts[0].unit,
        sessions,
    )
    return whole, np.repeat(np.arange(len(parts)), [len(part) for part in parts])[order]
