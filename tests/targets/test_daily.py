"""Days of a model whose challengers are trained on an emulated cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.models.paths import ModelPaths
from cloudlstm.models.registry import version_of, versions_of
from models.daily.recorded import CONFIG, FIRST_DAY, evenings, write_market
from pipeline.cli_runner import cloudlstm, one_run, write_config
from targets.fake_clouds import LONG_S, Target, documents, on_one_cloud

POLICY = ("warm_every=2", "warm_epochs=1", "cold_every=none")


@pytest.fixture
def model(target: Target, tmp_path: Path) -> ModelPaths:
    """A model in the bucket of the target, on recorded bars there; it has no day yet.

    Its first run was prepared and trained on this machine, without Spark, which takes less time.
    """
    root = f"{target.bucket}/daily"
    for file in write_market(tmp_path / "bars").iterdir():
        storage.write(f"{root}/files/{file.name}", file.read_bytes())
    config = write_config(tmp_path, CONFIG.format(path=f"{root}/files/*.csv"))
    done = cloudlstm("submit", f"--config={config}", f"--root={root}")
    assert done.returncode == 0, done.stderr
    run = one_run(root).rsplit("/", 1)[1]
    done = cloudlstm("models", "create", "m", f"--run={run}", f"--root={root}", *POLICY)
    assert done.returncode == 0, done.stderr
    return ModelPaths.of(root, "m")


@on_one_cloud
def test_only_a_day_on_which_a_training_is_due_uses_the_cloud(target: Target, model: ModelPaths) -> None:
    _, *evening = [now for _, now in evenings(FIRST_DAY, 4)]

    def daily(number: int) -> dict[str, Any]:
        """The printed document of a day."""
        done = cloudlstm("daily", "m", f"--target={target.uri}", f"--root={model.root}",
                         f"--now={evening[number].isoformat()}", "--json", timeout_s=LONG_S)  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
        found: dict[str, Any] = json.loads(done.stdout)
        assert (found["status"], target.group_size, target.deadlines) == ("done", 0, [])
        return found

    def used() -> tuple[Any, ...]:
        """What a training leaves on the cloud: steps of the cluster, leases of the trainers, the bundle of code."""
        steps = [step["step"] for step in target.cloud.control.state()["steps"]]
        leases = [item.uri for item in storage.list_objects(f"{target.bucket}/trainers/")]
        return steps, leases, target.written("code/")

    before = used()
    assert daily(0)["due"] == []
    assert used() == before

    (due,) = daily(1)["due"]
    run = f"{model.root}/{due['run']}"
    assert [(step.name, step.state) for step in target.steps(run)] == [(f"cloudlstm {due['run']} prepare 1", "done")]
    formed, ended = documents(f"{run}/generations/")
    assert (len(formed["addresses"]), ended["outcome"]) == (1, "done")
    assert [lease for lease in documents(f"{target.bucket}/trainers/") if lease.get("run") == run], "no machine trained"
    assert [each.number for each in versions_of(model)] == [1, 2]
    made = version_of(model, 2)
    assert (made.kind, made.parent, made.run) == ("warm", 1, run)
    assert made.seen > version_of(model, 1).seen
    assert storage.exists(model.monitor)

    before = used()
    last = daily(2)
    assert used() == before
    assert last["due"] == []
    assert [(each["version"], each["judged"]) for each in last["challengers"]] == [(2, "refresh")]
    assert set(last["forecasts"]) == {"1", "2"}
    verified = cloudlstm("models", "verify", "m", f"--root={model.root}", "--json")
    assert json.loads(verified.stdout)["records"] == 3
