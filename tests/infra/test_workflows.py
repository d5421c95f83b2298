"""Workflows, the cron example and the DAG: pinned, with few rights, and with commands that this release has."""

from __future__ import annotations

import ast
import fcntl
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from bootstrap.machine import program_of_this_machine
from cloudlstm import __version__
from cloudlstm.cli.commands import COMMANDS
from infra.terraform_runner import REPOSITORY

CI = REPOSITORY / "examples" / "ci"
RELEASE = REPOSITORY / ".github" / "workflows" / "release.yml"
WORKFLOWS = [*sorted(CI.glob("*.yml")), RELEASE]

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def workflow(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


@each_workflow
def test_actions_are_pinned_by_commit(path: Path) -> None:
    used = [line.strip(" -") for line in path.read_text().splitlines() if "uses:" in line]
    assert len(used) == sum("uses" in step for step in steps(path))
    for line in used:
        assert re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_has_one_commit_everywhere() -> None:
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    found = dict(re.findall(r"uses: ([\w/-]+)@([0-9a-f]{40})", text))
    assert set(re.findall(r"uses: ([\w/-]+)@([0-9a-f]{40})", text)) == set(found.items())


@each_workflow
def test_rights_are_minimal(path: Path) -> None:
    whole = workflow(path)
    allowed = {"contents": {"read"}, "id-token": {"write"}}
    jobs = [job.get("permissions", whole["permissions"]) for job in whole["jobs"].values()]
    if path == RELEASE:
        build, publish = jobs
        assert (build, publish) == ({"contents": "read"}, {"contents": "write", "actions": "read"})
        assert "uses" not in str(whole["jobs"]["publish"]["steps"])  # no foreign code where it may write
        return
    for rights in jobs:
        assert all(value in allowed[name] for name, value in rights.items())
        assert rights, "a job without rights cannot check out"
    assert "secrets." not in path.read_text()


@each_workflow
def test_text_of_others_does_not_become_a_command(path: Path) -> None:
    """Only variables of the repository and of the run stand in commands, by the environment."""
    for step in steps(path):
        assert "${{" not in step.get("run", ""), step


def typed(text: str) -> list[list[str]]:
    """The words of every `cloudlstm` command in a script."""
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    called = re.compile(r"(?:\w+=\$\()?(?:\$\{HOURS.*\} +)?(?:\.venv/bin/)?cloudlstm (.*?)\)?")
    found = [match[1] for line in lines if (match := called.fullmatch(line))]
    return [shlex.split(re.sub(r"\$\{(\w+):\+([^}]*)\}", r"\2", line)) for line in found]


def commands() -> list[tuple[str, list[str]]]:
    found = [(path.name, words) for path in WORKFLOWS for step in steps(path) for words in typed(step.get("run", ""))]
    found += [("daily.sh", words) for words in typed((CI / "daily.sh").read_text())]
    return found + [("airflow_daily.py", words) for words in typed(bash_command())]


def bash_command() -> str:
    """The command of the DAG, with a word in place of each name."""
    (call,) = operators()
    (command,) = (each.value for each in call.keywords if each.arg == "bash_command")
    assert isinstance(command, ast.JoinedStr)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in command.values)


def operators() -> list[ast.Call]:
    tree = ast.parse((CI / "airflow_daily.py").read_text())
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "BashOperator"
    ]


@pytest.mark.parametrize(("where", "words"), commands(), ids=lambda each: str(each)[:60])
def test_every_command_is_one_of_this_release(where: str, words: list[str]) -> None:
    parameters = inspect.signature(COMMANDS[words[0]]).parameters
    flags = [word for word in words if word.startswith("--")]
    for flag in flags:
        assert flag.removeprefix("--").partition("=")[0].replace("-", "_") in parameters, f"{where}: {flag}"
    if not any(each.kind is each.VAR_POSITIONAL for each in parameters.values()):
        own = [each for each in parameters.values() if each.kind is each.POSITIONAL_ONLY]
        assert len(words) - 1 - len(flags) == len(own)


def test_every_step_of_a_model_is_there() -> None:
    """Pull request, main, release and night, as docs/operations.md says."""
    found = {where: {words[0] for name, words in commands() if name == where} for where, _ in commands()}
    assert found["models.yml"] == {"schedule"}
    assert found["daily.sh"] == found["airflow_daily.py"] == {"daily"}
    assert "pull_request" in workflow(CI / "pipeline.yml")[True]  # YAML reads `on` as true
    models = workflow(CI / "models.yml")
    assert models[True].keys() == {"release", "schedule", "workflow_dispatch"}
    daily = models["jobs"]["daily"]
    assert daily["steps"][-1]["run"].endswith("sh examples/ci/daily.sh $MODELS")
    assert daily["concurrency"] == "daily"


def test_with_a_schedule_in_the_cloud_the_workflow_sends_code_and_does_no_days() -> None:
    jobs = workflow(CI / "models.yml")["jobs"]
    (bundle,) = (step for step in jobs["release"]["steps"] if step.get("name") == "bundle")
    assert bundle["if"] == "vars.SCHEDULED == 'true'"
    assert "vars.SCHEDULED != 'true'" in jobs["daily"]["if"]


@each_workflow
def test_a_role_that_is_taken_with_another_one_gets_no_session_tags(path: Path) -> None:
    """The submitter's trust policy allows sts:AssumeRole only, and the action tags sessions unless told not to."""
    chained = [step["with"] for step in steps(path) if step.get("with", {}).get("role-chaining")]
    assert all(words["role-skip-session-tagging"] is True for words in chained)
    assert bool(chained) == (path.name == "models.yml")


CREDENTIALS = """
import botocore.session
found = botocore.session.Session().get_credentials()
print(found.method, type(found).__name__)
"""


def test_the_night_takes_the_role_of_the_submitter_again_before_it_ends(tmp_path: Path) -> None:
    """AWS gives a role that was taken with the credentials of another one for an hour at most."""
    job = workflow(CI / "models.yml")["jobs"]["daily"]
    (first,) = (step for step in job["steps"] if "configure-aws-credentials" in step.get("uses", ""))
    assert first["with"]["role-duration-seconds"] >= job["timeout-minutes"] * 60
    (step,) = (step for step in job["steps"] if step.get("name") == "submitter")
    keys = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    runner = {
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_ENV": str(tmp_path / "env"),
        "ROLE": "arn:aws:iam::123456789012:role/s",
    }
    plain = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | keys
    subprocess.run(["bash", "-e", "-c", step["run"]], env=plain | runner, check=True)
    later = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    words = [sys.executable, "-c", CREDENTIALS]
    found = subprocess.run(words, env=plain | later, check=True, capture_output=True, text=True).stdout
    assert found.split() == ["assume-role", "DeferredRefreshableCredentials"]
    assert (tmp_path / "aws").stat().st_mode & 0o077 == 0


def test_the_dag_skips_what_is_refused() -> None:
    (call,) = operators()
    values = {each.arg: each.value for each in call.keywords}
    skipped = values["skip_on_exit_code"]
    assert isinstance(skipped, ast.Constant)
    from cloudlstm.cli.daily import REFUSED

    assert skipped.value == REFUSED
    assert {"retries", "append_env"} <= values.keys()


def test_the_dag_trains_one_model_after_the_other() -> None:
    """Models share the trainers of a target: of two trainings at a time one would be refused."""
    tree = ast.parse((CI / "airflow_daily.py").read_text())
    (dag,) = (each for each in ast.walk(tree) if isinstance(each, ast.Call) and getattr(each.func, "id", "") == "DAG")
    limits = {each.arg: each.value.value for each in dag.keywords if isinstance(each.value, ast.Constant)}
    assert limits["max_active_tasks"] == limits["max_active_runs"] == 1
    assert "--wait" in typed(bash_command())[0]


@pytest.fixture
def daily(tmp_path: Path) -> Any:
    """Runs daily.sh with a `cloudlstm` that ends with a status by model and keeps its words."""
    command = tmp_path / "bin" / "cloudlstm"
    command.parent.mkdir()
    command.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/words\necho "why $2"\n[ "$2" != hangs ] || exec sleep 60\nexit ${{2#m}}\n'
    )
    command.chmod(0o755)

    def run(*models: str, **variables: str) -> tuple[int, str, str, list[str]]:
        (tmp_path / "words").write_text("")
        environment = {"PATH": f"{command.parent}:{os.environ['PATH']}", **variables}
        script = ["sh", str(CI / "daily.sh"), *models]
        done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr, (tmp_path / "words").read_text().splitlines()

    return run


def test_cron_goes_on_after_a_refusal_and_after_a_failure(daily: Any) -> None:
    status, good, said, words = daily("m0", "m3", TARGET="s3://b", MAX_USD_MONTH="20")
    assert (status, good) == (0, "why m0\n")
    assert said == "why m3\nm3: something was refused, see above; the champion stays\n"
    assert words == [f"daily {model} --wait --target=s3://b --max-usd-month=20" for model in ("m0", "m3")]
    status, good, said, words = daily("m1", "m0", "m2")
    assert (status, good, words) == (1, "why m0\n", ["daily m1 --wait", "daily m0 --wait", "daily m2 --wait"])
    assert said.splitlines() == ["why m1", "m1: ended with status 1", "why m2", "m2: ended with status 2"]
    assert daily()[0] == 2


def test_a_model_that_hangs_is_ended_and_the_next_one_has_its_turn(daily: Any) -> None:
    status, good, said, _ = daily("hangs", "m0", HOURS="0.0001")
    assert (status, good) == (1, "why m0\n")
    assert said == "why hangs\nhangs: ended after 0.0001 hours; the same command goes on where it stopped\n"


def test_shellcheck_finds_nothing_in_the_script() -> None:
    shellcheck = program_of_this_machine("shellcheck")
    if shellcheck is None:
        pytest.skip("there is no shellcheck; the extra dev has it")
    done = subprocess.run([shellcheck, "--norc", CI / "daily.sh"], capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.fixture
def evening(daily: Any, tmp_path: Path) -> Callable[[], tuple[str, str, list[str]]]:
    """Runs the line of the crontab as cron does: what it prints on stdout and stderr, and the words of `cloudlstm`."""
    text = (CI / "crontab").read_text().replace("/srv/cloudlstm/examples", str(REPOSITORY / "examples"))
    lines = [line for line in text.replace("/srv/cloudlstm", str(tmp_path)).splitlines() if not line.startswith("#")]
    (line,) = (line for line in lines if re.match(r"\d", line))
    assert line.split()[:5] == ["30", "18", "*", "*", "1-5"]
    variables = dict(each.split("=", 1) for each in lines if each != line)
    variables["PATH"] = f"{tmp_path}/bin:{os.environ['PATH']}"

    def run() -> tuple[str, str, list[str]]:
        (tmp_path / "words").write_text("")
        command = ["sh", "-c", line.split(maxsplit=5)[5]]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        return done.stdout, done.stderr, (tmp_path / "words").read_text().splitlines()

    return run


def test_cron_says_that_the_day_before_still_runs(
    evening: Callable[[], tuple[str, str, list[str]]], tmp_path: Path
) -> None:
    with (tmp_path / "daily.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        printed, mailed, words = evening()
    assert (printed, words) == ("", [])
    assert "an earlier call still runs" in mailed
    assert "core6" in mailed
    assert evening()[2] == ["daily core6 --wait"]  # the lock is free again


@pytest.fixture
def release(tmp_path: Path) -> tuple[ModuleType, Path]:
    """The script of a release, and a project in which version and changelog agree."""
    spec = importlib.util.spec_from_file_location("release_notes", REPOSITORY / ".ci" / "release_notes.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "src" / "cloudlstm").mkdir(parents=True)
    (tmp_path / "src" / "cloudlstm" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# C\n\n## [1.2.3] - 2026-12-01\n\nNew.\n\n## [1.2.2] - 2026-11-01\n\nOld.\n"
    )
    return module, tmp_path


def test_a_release_has_the_text_of_its_section(release: tuple[ModuleType, Path]) -> None:
    module, root = release
    assert module.notes("v1.2.3", root) == "New.\n"
    assert __version__ in (REPOSITORY / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("file", "text", "tag", "message"),
    [
        ("pyproject.toml", '[project]\nversion = "1.2.4"\n', "v1.2.3", "pyproject.toml says 1.2.4"),
        ("src/cloudlstm/__init__.py", '__version__ = "1.2.2"\n', "v1.2.3", "__init__.py says 1.2.2"),
        ("CHANGELOG.md", "## [1.2.4] - 2026-12-02\n\nNewer.\n", "v1.2.3", "is not [1.2.3] with its date"),
        ("CHANGELOG.md", "## [1.2.3]\n\nNo date.\n", "v1.2.3", "is not [1.2.3] with its date"),
        ("CHANGELOG.md", "## [1.2.3] - 2026-12-01\n\n## [1.2.2] - 2026-11-01\n", "v1.2.3", "says nothing about 1.2.3"),
        ("CHANGELOG.md", "## Unreleased\n\nX.\n\n## [1.2.3] - 2026-12-01\n\nY.\n", "v1.2.3", "a section Unreleased"),
        ("CHANGELOG.md", "", "1.2.3", "the tag 1.2.3 is no version"),
    ],
)
def test_a_release_whose_parts_do_not_agree_is_refused(
    release: tuple[ModuleType, Path], file: str, text: str, tag: str, message: str
) -> None:
    module, root = release
    (root / file).write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        module.notes(tag, root)
