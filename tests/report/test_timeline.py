from dataclasses import replace

import pytest

from cloudlstm.config import overrides, parse
from cloudlstm.report import timeline
from cloudlstm.report.run_models import Timeline
from evaluation.samples import SUBMITTED, manifests

BEGAN = SUBMITTED + 32.0


def timing(submitted=SUBMITTED):
    return timeline.Timing(submitted, BEGAN, 1.5)


def names(found):
    return [span.name for span in found.spans]


def test_gaps_between_steps_have_a_reason():
    found = timeline.timeline(manifests(), timing())
    assert [(span.name, span.kind) for span in found.spans] == [
        ("start of prepare", "start"), ("start of Spark", "start"), ("ingest", "step"), ("clean", "step"),
        ("between steps", "wait"), ("features", "step"), ("between steps", "wait"), ("sequences", "step"),
        ("start of training", "start"), ("train", "step"), ("between steps", "wait"), ("evaluate", "step"),
    ]  # fmt: skip
    assert found.seconds == pytest.approx(33.5)
    assert found.began == "2025-06-15T15:06:40.000+00:00"
    # The spans cover the timeline without overlap.
    assert sum(span.seconds for span in found.spans) == pytest.approx(found.seconds)
    at = 0.0
    for span in found.spans:
        assert span.begin_s == pytest.approx(at, abs=2e-3)
        at = span.begin_s + span.seconds


def test_a_training_is_shown_by_its_phases():
    known = manifests()
    took = {"connect": 0.1, "cache": 0.2, "compile": 0.3, "train": 0.9, "forecast": 0.4, "write": 0.1}
    phases = [{"phase": name, "seconds": seconds} for name, seconds in took.items()]
    known["train"] = replace(known["train"], facts={**known["train"].facts, "phases": phases})
    found = timeline.timeline(known, timing())
    ours = [span for span in found.spans if span.name.startswith("train")]
    assert [span.name for span in ours] == [
        "train: connect", "train: cache", "train: compile", "train", "train: forecast", "train: write"
    ]  # fmt: skip
    assert {span.kind for span in ours} == {"step"}
    assert [span.seconds for span in ours] == list(took.values())
    assert [span.begin_s for span in ours] == [pytest.approx(29.0 + at) for at in (0.0, 0.1, 0.3, 0.6, 1.5, 1.9)]
    assert found.seconds == pytest.approx(33.5), "the phases fill the step"


def test_steps_of_an_earlier_attempt_are_reused_and_not_on_the_timeline():
    known = manifests()
    known["ingest"] = replace(known["ingest"], began=SUBMITTED - 5_000.0)
    known["clean"] = replace(known["clean"], began=SUBMITTED - 4_990.0)
    assert "ingest" not in names(timeline.timeline(known, timing()))
    steps = timeline.step_rows(known, timing(), 3_000)
    assert [row.step for row in steps if row.reused] == ["ingest", "clean"]
    # Spark then starts for the first step that needs it.
    assert names(timeline.timeline(known, timing()))[:3] == ["start of prepare", "start of Spark", "features"]


def test_without_start_times_there_is_no_timeline():
    known = manifests()
    known["clean"] = replace(known["clean"], began=0.0)
    assert timeline.timeline(known, timing()) == Timeline(began=None, seconds=None, spans=())
    assert timeline.step_rows(known, timing(), None)[1].began is None


def test_without_an_attempt_the_timeline_begins_with_the_start_of_spark():
    found = timeline.timeline(manifests(), timing(submitted=0.0)).spans
    assert found[0].model_dump() | {"what": ""} == {
        "name": "start of Spark", "kind": "start", "what": "", "begin_s": 0.0, "seconds": 4.8
    }  # fmt: skip


def test_train_and_evaluate_count_windows():
    rows = {row.step: row for row in timeline.step_rows(manifests(), timing(), 3_000)}
    assert rows["train"].rows == 9_000 * 6
    assert (rows["evaluate"].rows, rows["evaluate"].rate) == (3_000, 2_000.0)


@pytest.mark.parametrize(
    "words",
    [
        ["market.source=synthetic"],
        ["market.source=files", "market.path=s3://b/bars of 2024/*.csv", "market.columns.ticker=symbol"],
        ["market.source=files", 'market.path="2024"', "universe.tickers=AAPL,BRK-B", "market.start=2012-01-03"],
        ["market.source=files", "market.path=x", 'universe.tickers=["2330"]', "evaluation.ridge_alphas=[1.0,1e9]"],
        ["market.source=synthetic", "train.max_steps=7", "train.learning_rate=3e-4", "market.synthetic.tickers=9"],
    ],
)
def test_the_command_makes_the_same_configuration_again(words):
    config = parse({}, words)
    assert parse({}, overrides.words(config)) == config
    assert overrides.command(config).startswith("cloudlstm submit ")


def test_the_command_names_only_what_differs_and_not_where_this_machine_keeps_its_cache():
    config = parse({}, ["market.source=synthetic", "train.seed=5", "train.cache_dir=/tmp/cache"])
    # The name follows from the other settings; it is written, so that the run id stays if that rule changes.
    assert overrides.words(config) == ["name=synthetic", "market.source=synthetic", "train.seed=5"]
