"""Facts of a version as MLflow accepts them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudlstm.models import registry
from cloudlstm.models.documents import Move, Recipe, Version
from cloudlstm.models.mlflow_facts import metrics_of, moves_text, params_of
from models.mlflow_model import POLICY, make_model

VERSION = Version(1, "created", "", "file:///r/first", None, "2024-06-01", "2024-04-30", 60, 1, {})


@given(st.text(min_size=1), st.text(min_size=1))
def test_mlflow_accepts_every_name(model: str, figure: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    (name,) = metrics_of(replace(VERSION, evidence={model: {figure: 1}}))
    _validate_metric_name(name)  # type: ignore[no-untyped-call]


@given(st.dictionaries(st.text("ab.", min_size=1), st.text() | st.lists(st.text()) | st.none() | st.floats()))
def test_mlflow_accepts_every_value(settings: dict[str, object]) -> None:
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

    recipe = Recipe("core", "file:///r/first", {"model": settings}, "", POLICY)
    for value in params_of(recipe, VERSION).values():
        assert 0 < len(value) <= MAX_PARAM_VAL_LENGTH


def test_only_numbers_are_metrics() -> None:
    evidence = {"lstm": {"rmse": 2, "text": "x", "missing": None, "flag": True}, "words": "x"}
    assert metrics_of(replace(VERSION, evidence=evidence)) == {"lstm.rmse": 2.0}


def test_the_recipe_itself_is_not_changed_by_another_recipe(tmp_path: Path) -> None:
    recipe = registry.recipe_of(make_model(f"file://{tmp_path}"))
    assert params_of(recipe, replace(VERSION, kind="recipe", recipe="small"))["recipe.model.units"] == "8"
    assert params_of(recipe, VERSION)["recipe.model.units"] == "32"


@pytest.mark.parametrize(("number", "expected"), [(1, "2024-01-02 created; 2024-03-01 rollback (after version 2)"),
                                                  (2, "2024-02-01 skill (after version 1)"), (3, "")])  # fmt: skip
def test_moves_name_the_version_before(number: int, expected: str) -> None:
    moves = [Move(1, 1, None, "2024-01-02", "created"), Move(2, 2, 1, "2024-02-01", "skill"),
             Move(3, 1, 2, "2024-03-01", "rollback")]  # fmt: skip
    assert moves_text(moves, number) == expected
