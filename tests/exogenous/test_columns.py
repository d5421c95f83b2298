"""The columns that settings make."""

from __future__ import annotations

import pytest

from cloudlstm.config import ExogenousConfig
from cloudlstm.errors import UsageError
from cloudlstm.exogenous.columns import KINDS, columns_of
from cloudlstm.exogenous.sources.release_lags import RULES


def config_of(series: str, **more: object) -> ExogenousConfig:
    return ExogenousConfig.model_validate({"macro": {"source": "fred", "path": "x", "series": series, **more}})


def test_every_series_with_a_release_rule_has_a_kind() -> None:
    assert not set(RULES) - set(KINDS)


def test_a_series_has_a_value_and_an_age() -> None:
    columns = columns_of(config_of("VIXCLS,CPIAUCSL"))
    assert [(each.name, each.kind) for each in columns] == [
        ("macro_vixcls", "rate"), ("macro_vixcls_age_days", "age"),
        ("macro_cpiaucsl", "index"), ("macro_cpiaucsl_age_days", "age"),
    ]  # fmt: skip


def test_an_unknown_series_needs_its_kind() -> None:
    with pytest.raises(UsageError, match=r"kind of series MY\.TONE") as caught:
        columns_of(config_of("MY.TONE"))
    assert "exogenous.macro.kinds.MY.TONE=rate" in (caught.value.hint or "")
    (value, age) = columns_of(config_of("MY.TONE", kinds={"MY.TONE": "score"}))
    assert (value.name, value.kind, age.name) == ("macro_my_tone", "score", "macro_my_tone_age_days")


def test_two_series_must_not_have_the_same_column() -> None:
    kinds = {"A.B": "rate", "A-B": "rate"}
    with pytest.raises(UsageError, match="macro_a_b"):
        columns_of(config_of("A.B,A-B", kinds=kinds))


def test_without_sources_there_are_no_columns() -> None:
    assert columns_of(ExogenousConfig()) == ()


def test_a_group_without_a_source_is_refused() -> None:
    with pytest.raises(ValueError, match=r"exogenous\.news\.source is off"):
        ExogenousConfig.model_validate({"inputs": "news", "macro": {"source": "fred", "path": "x", "series": "DFF"}})


def test_the_case_of_a_known_series_does_not_matter() -> None:
    assert columns_of(config_of("vixcls"))[0].kind == "rate"
