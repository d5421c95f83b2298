"""`import cloudlstm` and `cloudlstm.submit`: the names, the settings, the errors."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cloudlstm
from cloudlstm import api
from cloudlstm.cli.plans import config_of
from cloudlstm.config import RunConfig, load, parse
from cloudlstm.errors import ConfigError, UsageError
from cloudlstm.runs.journal import Progress
from cloudlstm.runs.paths import RunPaths
from cloudlstm.storage import endpoints
from cloudlstm.targets import Plan, Target, launcher
from cloudlstm.targets.local.target import LocalTarget


def test_the_package_lists_its_names_and_no_others() -> None:
    names = {"CloudLSTMError", "Run", "Runs", "Windows", "list_runs", "open_run", "submit"}
    assert names <= set(dir(cloudlstm))
    assert {getattr(cloudlstm, name) for name in names} == {getattr(api, name) for name in names}
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = cloudlstm.no_such_name  # type: ignore[attr-defined]


def test_names_work_after_any_other_import() -> None:
    code = (
        "import cloudlstm, cloudlstm.runs.paths, cloudlstm.cli.submit; print(cloudlstm.submit.__name__, cloudlstm.Run)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "submit <class 'cloudlstm.notebook.run.Run'>\n"


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Submits without carrying out; returns the configuration of the plan."""
    monkeypatch.setenv("CLOUDLSTM_ROOT", str(tmp_path / "runs"))
    plans: list[Plan] = []

    def launch(plan: Plan, _target: object, *, quiet: bool) -> RunPaths:
        assert not quiet
        plans.append(plan)
        return RunPaths(plan.run)

    monkeypatch.setattr(api, "launch", launch)

    def submit(*args: Any, **options: Any) -> RunConfig:
        run = cloudlstm.submit(*args, **options)
        assert run.uri == plans[-1].run
        return config_of(plans[-1])

    return submit


def test_settings_come_from_a_file_a_dict_or_a_configuration(submitted: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[train]\nepochs = 7\n')
    wanted = submitted(str(path))
    assert (wanted.name, wanted.train.epochs) == ("mine", 7)
    assert (
        wanted == submitted(path) == submitted({"name": "mine", "train": {"epochs": 7}}) == submitted(load(str(path)))
    )
    assert submitted(path, train__epochs=8).train.epochs == 8
    assert submitted().train.epochs == parse({}).train.epochs


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("train__epochs", np.int64(3), 3),
        ("train.epochs", 3, 3),
        ("train__learning_rate", 1e-5, 1e-5),
        ("train__open_ports", True, True),
        ("market__end", dt.date(2024, 2, 28), dt.date(2024, 2, 28)),
        ("market__end", "2024-02-28", dt.date(2024, 2, 28)),
        ("universe__tickers", ["A", "TRUE", "1"], ("A", "TRUE", "1")),
        ("evaluation__ridge_alphas", (0.5, 2), (0.5, 2.0)),
        ("market__path", Path("/data/é \"😀\".csv"), "file:///data/é \"😀\".csv"),
    ],
)  # fmt: skip
def test_overrides_are_python_values(submitted: Any, name: str, value: Any, found: Any) -> None:
    config = submitted({"market": {"source": "files", "path": "/x"}}, **{name: value})
    for part in name.replace("__", ".").split("."):
        config = getattr(config, part)
    assert config == found


def test_an_override_may_be_a_list_of_sections(submitted: Any) -> None:
    renames = [{"old": "FB", "new": "META", "until": dt.date(2022, 6, 8)}]
    config = submitted({"market": {"source": "files", "path": "/x"}}, market__renames=renames)
    (rename,) = config.market.renames
    assert (rename.old, rename.new, rename.until) == ("FB", "META", dt.date(2022, 6, 8))


@pytest.mark.usefixtures("submitted")
def test_the_run_has_the_given_name_and_root(tmp_path: Path) -> None:
    run = cloudlstm.submit(run="mine", root=str(tmp_path / "elsewhere"))
    assert run.uri == f"file://{tmp_path}/elsewhere/mine"
    with pytest.raises(UsageError, match="Not An Id"):
        cloudlstm.submit(run="Not An Id")


def test_the_target_gets_its_options(submitted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def open_target(name: str | None, **options: bool) -> Target:
        opened.append((name, options))
        return LocalTarget()

    monkeypatch.setattr(api, "open_target", open_target)
    submitted()
    submitted(target="infra", wait=True, trust_endpoints=True)
    assert opened == [
        (None, {"wait": False, "trust_endpoints": False}),
        ("infra", {"wait": True, "trust_endpoints": True}),
    ]


@pytest.mark.parametrize("quiet", [False, True])
def test_progress_is_shown_unless_quiet(
    quiet: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def carry_out(plan: Plan, _target: Target, watch: launcher.Watch, **_: Any) -> RunPaths:
        watch([Progress("clean", "driver", 5, 10, "rows", 0.0, 1.0)])
        return RunPaths(plan.run)

    monkeypatch.setattr(launcher, "carry_out", carry_out)
    cloudlstm.submit({"market": {"source": "synthetic"}}, root=str(tmp_path), quiet=quiet)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("50%" in printed.err) is not quiet
    assert not (quiet and printed.err)


def test_a_server_of_this_machine_that_is_gone_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = (
        lambda: cloudlstm.list_runs(str(tmp_path)),
        lambda: cloudlstm.open_run(tmp_path / "demo"),
        lambda: cloudlstm.submit(tmp_path / "none.toml"),
    )
    for call in calls:
        monkeypatch.setattr(endpoints, "_required", False)
        with suppress(cloudlstm.CloudLSTMError):
            call()
        with pytest.raises(endpoints.NothingListensError):
            endpoints.require_listening("http://127.0.0.1:1")


def test_a_wrong_setting_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    with pytest.raises(ConfigError, match=r"train\.epoch'.*did you mean 'train\.epochs'"):
        cloudlstm.submit(root=str(root), train__epoch=3)
    with pytest.raises(ConfigError, match=r"market\.path cannot be None"):
        cloudlstm.submit(root=str(root), market__path=None)
    with pytest.raises(ConfigError, match=r"no configuration file at .*none\.toml"):
        cloudlstm.submit(tmp_path / "none.toml", root=str(root))
    assert not root.exists()
