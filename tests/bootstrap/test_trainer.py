"""The set-up of a trainer machine, with stubs for all programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from localstack.machines import commands, units

from bootstrap.machine import GROUP, Machine, settings_of
from cloudlstm.targets.machine_logs import GIVES_UP

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="trainer machines run Linux")

LEAVE = {
    "aws": "aws autoscaling terminate-instance-in-auto-scaling-group --region eu-central-1 --instance-id i-0123 "
    "--should-decrement-desired-capacity",
    "gcp": "curl -fsS --retry 5 -H @- -o /dev/null -H Content-Type: application/json "
    '-d {"instances": ["zones/europe-west4-b/instances/i-0123"]} https://compute.googleapis.com/compute/v1/projects/'
    f"my-project/regions/eu-central-1/instanceGroupManagers/{GROUP}/deleteInstances",
}
on_each_cloud = pytest.mark.parametrize("machine", ["aws", "gcp"], indirect=True)


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Machine:
    return Machine(tmp_path, cloud=getattr(request, "param", "aws"))


@on_each_cloud
def test_a_new_machine_starts_the_agent(machine: Machine) -> None:
    assignment = machine.assign()
    assert machine.run().returncode == 0, machine.log
    calls = machine.calls()
    order = [
        calls.index("systemctl enable --now cloudlstm-deadline.timer"),
        calls.index("nvidia-smi --query-gpu=name,driver_version --format=csv,noheader"),
        calls.index("nvidia-modprobe -u -c 0"),
        next(at for at, call in enumerate(calls) if "assignment.json" in call),
        next(at for at, call in enumerate(calls) if call.startswith("uv venv")),
        next(at for at, call in enumerate(calls) if call.startswith("uv pip install")),
        calls.index("systemctl enable --now cloudlstm-agent.service"),
    ]
    assert order == sorted(order)
    house = f"{machine.base}/wheelhouse"
    assert machine.calls("uv venv")[0].endswith(f"--python {house}/python/bin/python3.11 {machine.base}/venv")
    install = f"--offline --no-index --find-links {house}/wheels --require-hashes --no-deps --only-binary :all: "
    assert install in machine.calls("uv pip install")[0]
    assert not list(Path(house).glob("wheels")), "the wheels take disk"
    assert (machine.base / "cloudlstm.zip").read_bytes() == b"package"
    assert (machine.base / "jobs/agent.py").read_bytes() == b"agent"
    assert (machine.base / "jobs/train.py").read_bytes() == b"train"
    assert machine.deadline == int(assignment["deadline"])
    assert not [call for call in calls if "Bearer" in call]  # no command line tells the token
    assert not machine.departures()


def test_the_agent_finds_the_packages_of_the_user_only_if_the_run_has_some(machine: Machine) -> None:
    for own in (True, False):
        machine.assign(with_own=own)
        assert machine.run().returncode == 0, machine.log
        path = settings_of(machine.base / "agent.environment")["PYTHONPATH"]
        assert path == f"{machine.base}/cloudlstm.zip" + (f":{machine.base}/own.zip" if own else "")
    assert (machine.base / "own.zip").read_bytes() == b"own"


def test_the_agent_is_restarted_with_its_environment(machine: Machine) -> None:
    machine.assign()
    machine.run()
    unit = settings_of(machine.units / "cloudlstm-agent.service")
    assert (unit["Restart"], unit["OOMPolicy"]) == ("on-failure", "continue")
    assert unit["ExecStart"] == f"{machine.base}/venv/bin/python {machine.base}/jobs/agent.py"
    given = settings_of(machine.base / "environment") | settings_of(machine.base / "agent.environment")
    assert given["PYTHONPATH"] == f"{machine.base}/cloudlstm.zip"
    assert given["CLOUDLSTM_ADDRESS"] == "10.0.0.4"
    assert given["AWS_DEFAULT_REGION"] == "eu-central-1"
    names = ("CLOUD", "BUCKET_URI", "GROUP", "REGION", "MAX_HOURS", "GPU")
    assert {f"CLOUDLSTM_{name}": machine.environment[f"CLOUDLSTM_{name}"] for name in names}.items() <= given.items()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_systemd_understands_the_units(machine: Machine) -> None:
    machine.assign()
    machine.run()
    units = [machine.units / f"cloudlstm-{name}" for name in ("deadline.service", "deadline.timer", "agent.service")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert "cloudlstm" not in done.stderr


def test_running_it_again_changes_nothing(machine: Machine) -> None:
    machine.assign()
    machine.run()
    before = machine.files()
    downloads = len(machine.downloads())
    installed = machine.base / "trainer.sh"
    time.sleep(1.1)  # a new deadline would differ
    assert machine.run(script=installed).returncode == 0
    assert machine.files() == before
    assert len(machine.downloads()) == downloads + 1  # the assignment is looked at, nothing is loaded twice


def test_it_waits_for_an_assignment_with_a_future_deadline(machine: Machine) -> None:
    machine.assign(deadline=time.time() - 5)
    fresh = Machine(machine.stubs / "other")
    fresh.assign()
    shutil.copytree(fresh.bucket / "code", machine.bucket / "code", dirs_exist_ok=True)
    fresh_one, old_one = (each.bucket / "trainers" / GROUP / "assignment.json" for each in (fresh, machine))
    (machine.stubs / "on-sleep").write_text(
        f'echo >>"$STUBS/slept"; [ $(wc -l <"$STUBS/slept") -lt 3 ] || cp {fresh_one} {old_one}\n'
    )
    assert machine.run().returncode == 0, machine.log
    assert machine.calls("sleep") == ["sleep 30"] * 3
    assert machine.calls("systemctl enable --now cloudlstm-agent.service")


def test_a_machine_without_assignment_has_a_deadline(machine: Machine) -> None:
    machine.program("sleep", 'kill "$PPID"\n')  # ends the wait
    before = int(time.time())
    machine.run()
    assert before + 12 * 3600 <= machine.deadline <= time.time() + 12 * 3600
    timer = settings_of(machine.units / "cloudlstm-deadline.timer")
    assert timer == {"OnBootSec": "1min", "OnUnitInactiveSec": "1min", "WantedBy": "timers.target"}
    assert settings_of(machine.units / "cloudlstm-deadline.service")["ExecStart"].endswith("trainer.sh if-overdue")


def test_a_machine_without_assignment_leaves_its_group(machine: Machine) -> None:
    assert machine.run().returncode != 0
    assert machine.calls("sleep") == ["sleep 30"] * 60
    assert "no run has been assigned for half an hour" in machine.log_in_bucket()
    assert machine.departures() == [LEAVE["aws"]]


@on_each_cloud
def test_it_leaves_with_decrement_at_its_deadline(machine: Machine) -> None:
    machine.assign()
    machine.run()
    assert machine.run("if-overdue").returncode == 0
    assert not machine.departures()
    (machine.base / "deadline").write_text(f"{int(time.time())}\n")
    assert machine.run("if-overdue").returncode == 0
    assert machine.departures() == [LEAVE[machine.cloud]]
    assert not machine.calls("shutdown")


@on_each_cloud
@pytest.mark.parametrize("missing", ["group", "metadata"])
@pytest.mark.parametrize("since_s", [600, 1000])
@pytest.mark.parametrize("timer", [True, False])
def test_a_machine_that_cannot_leave_its_group_asks_again_before_it_shuts_down(
    machine: Machine, missing: str, since_s: int, timer: bool
) -> None:
    """A group replaces a machine that is off, so shutting down is the last resort."""
    if not timer:
        machine.fail("systemctl", 1, words="is-active")
    machine.base.mkdir(parents=True)
    (machine.base / "deadline").write_text(f"{int(time.time()) - since_s}\n")
    if missing == "group":
        (machine.stubs / "no-group").touch()
    else:
        machine.fail("curl", 99)
    machine.run("if-overdue")
    asks_again = timer and (machine.cloud == "gcp" or since_s < 900)
    assert machine.calls("shutdown") == ([] if asks_again else ["shutdown -h now"])
    (machine.stubs / "no-group").unlink(missing_ok=True)
    machine.fail("curl", 0)
    machine.run("if-overdue")
    assert machine.departures()[-1] == LEAVE[machine.cloud]


@on_each_cloud
def test_a_machine_whose_set_up_fails_asks_again_to_leave(machine: Machine) -> None:
    (machine.stubs / "no-group").touch()
    machine.assign(python="2")
    began = int(time.time())
    assert machine.run().returncode != 0
    assert began <= machine.deadline <= time.time()
    assert not machine.calls("shutdown")
    machine.run("if-overdue")
    assert machine.departures() == [LEAVE[machine.cloud]] * 2


def test_a_machine_that_is_preempted_stays_in_its_group(machine: Machine) -> None:
    machine.program("sleep", 'kill "$PPID"\n')
    machine.program("systemctl", "[[ $1 != is-system-running ]] || echo stopping\n")
    assert machine.run().returncode != 0
    for _ in range(4):
        assert machine.ended("exit-code").returncode == 0
    assert not machine.departures()
    assert not (machine.bucket / "trainers" / GROUP / "machines").exists()


def test_a_machine_leaves_soon_after_its_work_without_a_launcher(machine: Machine) -> None:
    machine.assign()
    machine.run()
    assert settings_of(machine.units / "cloudlstm-agent.service")["ExecStopPost"] == f"+{machine.base}/trainer.sh ended"
    assert machine.ended("success").returncode == 0
    assert time.time() + 590 <= machine.deadline <= time.time() + 600
    assert not (machine.bucket / "trainers" / GROUP / "machines").exists()


TRACEBACK = """Traceback (most recent call last):
ImportError: libcudart.so.12: cannot open shared object file: No such file or directory
cloudlstm-agent.service: Main process exited, code=exited, status=1/FAILURE
"""
ENDED = "the agent ended: exit-code, exited 1\n"


@on_each_cloud
def test_a_machine_whose_agent_fails_says_why_and_gives_up(machine: Machine) -> None:
    assignment = machine.assign()
    machine.run()
    (machine.stubs / "journal").write_text(TRACEBACK)
    for _ in range(3):
        assert machine.ended("exit-code").returncode == 0
        assert machine.log_in_bucket() == TRACEBACK + ENDED
        assert machine.deadline == int(assignment["deadline"])
        assert not machine.departures()
    assert machine.ended("exit-code").returncode == 0
    said, last = machine.log_in_bucket().rsplit("\n", 2)[:2]
    assert said + "\n" == TRACEBACK + ENDED
    assert machine.calls("journalctl")[-1].endswith("_SYSTEMD_INVOCATION_ID=f00d + INVOCATION_ID=f00d")
    assert last.startswith(f"{GIVES_UP}the agent failed 4 times in ")
    assert machine.calls("systemctl stop --no-block cloudlstm-agent.service")
    assert machine.deadline <= time.time()
    assert machine.departures() == [LEAVE[machine.cloud]]


def test_the_emulated_journal_understands_what_the_script_asks(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.assign()
    machine.run()
    machine.ended("exit-code")
    units.journal(machine.stubs, "f00d").write_text(TRACEBACK)  # the invocation of `ended`
    monkeypatch.setenv(commands.FOLDER, str(machine.stubs))
    asked = [call.split()[1:] for call in machine.calls("journalctl")]
    assert [commands.main("journalctl", words) for words in asked] == [0, 0]
    assert capsys.readouterr().out == TRACEBACK


@pytest.mark.parametrize(("apart_s", "gives_up"), [(70, True), (90, False)])
def test_an_agent_that_fails_now_and_then_is_started_again(machine: Machine, apart_s: int, gives_up: bool) -> None:
    machine.assign()
    machine.run()
    (machine.stubs / "journal").write_text("")
    for minutes in range(8):
        machine.program("date", f"echo {10**9 + minutes * apart_s}\n")
        assert machine.ended("signal").returncode == 0
        if gives_up and minutes == 3:
            break
        assert not machine.departures()
    assert bool(machine.departures()) == gives_up


def test_a_log_that_cannot_be_stored_keeps_no_machine_alive(machine: Machine) -> None:
    machine.assign()
    machine.run()
    machine.fail("journalctl", 99)
    machine.fail("aws", 99, words="s3 cp")
    (machine.prefix / "run/cloudlstm/agent.log").mkdir(parents=True)  # nothing can be written there
    for _ in range(4):
        assert machine.ended("oom-kill").returncode == 0
    assert machine.departures() == [LEAVE["aws"]]


def test_a_deadline_after_that_of_the_machine_is_ignored(machine: Machine) -> None:
    machine.environment["CLOUDLSTM_MAX_HOURS"] = "1"
    machine.assign(deadline=time.time() + 1e6)
    machine.run()
    assert machine.deadline <= time.time() + 3600


@on_each_cloud
def test_a_machine_without_a_driver_reports_it_and_leaves(machine: Machine) -> None:
    machine.fail("nvidia-smi", 99)
    machine.assign()
    done = machine.run()
    assert done.returncode != 0
    assert "nvidia-smi fails as the test demands" in machine.log_in_bucket()
    assert "nvidia-smi fails as the test demands" in done.stdout  # what the cloud shows as the machine's console
    assert len(machine.calls("nvidia-smi")) == 5
    assert machine.departures() == [LEAVE[machine.cloud]]
    assert machine.deadline <= time.time()  # should that come to nothing, the timer asks again


@on_each_cloud
def test_a_machine_without_the_device_of_cuda_reports_it_and_leaves(machine: Machine) -> None:
    machine.fail("nvidia-modprobe", 1)
    machine.assign()
    assert machine.run().returncode != 0
    assert machine.log_in_bucket().endswith(
        "NVIDIA's driver made no device nvidia-uvm\n" + f"{GIVES_UP}the set-up failed with status 1\n"
    )
    assert not machine.calls("uv")
    assert machine.departures() == [LEAVE[machine.cloud]]


# Fails as CUDA does if it has to make its device through a setuid program, and works for nobody but nobody.
CUDA = """
#include <sys/prctl.h>
#include <unistd.h>
int cuInit(unsigned flags) { return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && getuid() != 0 ? STATUS : 999; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on this machine")
@pytest.mark.parametrize(("status", "count"), [(0, 1), (0, 0), (803, 1), (None, 1)])
def test_cuda_is_tried_as_the_agent_will_use_it(machine: Machine, status: int | None, count: int) -> None:
    machine.assign()
    machine.environment["LD_LIBRARY_PATH"] = str(machine.stubs)
    if status is not None:
        (machine.stubs / "cuda.c").write_text(CUDA)
        target = ["-o", machine.stubs / "libcuda.so.1", f"-DSTATUS={status}", f"-DCOUNT={count}"]
        subprocess.run(["cc", "-shared", "-fPIC", *target, machine.stubs / "cuda.c"], check=True)
    done = machine.run()
    if (status, count) == (0, 1):
        assert done.returncode == 0, machine.log
        return
    assert done.returncode != 0
    said = (
        f"CUDA cannot use the GPU: status {status}, 0 devices"
        if status is not None
        else "libcuda.so.1: cannot open shared object"
    )
    assert said in machine.log_in_bucket()
    assert machine.departures() == [LEAVE["aws"]]


def test_an_object_with_a_wrong_checksum_is_not_run(machine: Machine) -> None:
    assignment = machine.assign()
    uri = assignment["jobs"]["agent"]["uri"]
    (machine.bucket / uri.removeprefix(f"{machine.bucket_uri}/")).write_bytes(b"somebody else's")
    assert machine.run().returncode != 0
    assert f"{uri} does not have the sha256" in machine.log_in_bucket()
    assert not machine.calls("uv")
    assert machine.departures() == [LEAVE[machine.cloud]]


PLANTED = 'a[$(touch "$STUBS/pwned")]'
"""Text that bash executes when it evaluates it as a number."""


@pytest.mark.parametrize(
    "value", [PLANTED, None, True, -1, "", [], {}, "08", 1e300, float("nan"), "9" * 12, "1\n2", "\u0661", "\udc80"]
)
def test_an_invalid_deadline_ends_the_set_up(machine: Machine, value: object) -> None:
    machine.assign(deadline=value)
    assert machine.run().returncode != 0
    assert "the assignment has no usable deadline" in machine.log_in_bucket()
    assert not (machine.stubs / "pwned").exists()
    assert machine.departures() == [LEAVE["aws"]]
    assert machine.deadline <= time.time()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"version": 2}, "version"),
        ({"attempt": PLANTED}, "attempt"),
        ({"workers": "2; touch pwned"}, "workers"),
        ({"port": 84}, "port"),
        ({"python": "3.11 --index-url http://127.0.0.1"}, "python"),
        ({"python": "--help"}, "python"),
        ({"accelerator": "tpu"}, "accelerator"),
        ({"package": {"uri": "--recursive", "sha256": "0" * 64}}, "package.uri"),
        ({"package": {"uri": "s3://another/code/cloudlstm.zip", "sha256": "0" * 64}}, "package.uri"),
        ({"package": {"uri": "s3://mine/code/../cloudlstm.zip", "sha256": "0" * 64}}, "package.uri"),
        ({"wheelhouse": {"uri": "s3://mine/r.tar\n-x", "sha256": "0" * 64}}, "wheelhouse.uri"),
        ({"wheelhouse": None}, "wheelhouse.sha256"),
        ({"wheelhouse": None, "trainer_python": "python3"}, "wheelhouse.sha256"),
        ({"package": {"uri": "s3://mine/code/a.zip", "sha256": "0" * 63}}, "package.sha256"),
        ({"package": {"uri": "s3://mine/code/a.zip", "sha256": "0" * 64 + "  /etc/passwd\n"}}, "package.sha256"),
        ({"package": "cloudlstm.zip"}, "package.uri"),
        ({"own": {"uri": "s3://mine/code/a.zip", "sha256": "no hash"}}, "own.sha256"),
        ({"own": {"uri": "s3://another/code/own.zip", "sha256": "0" * 64}}, "own.uri"),
        ({"jobs": {}}, "jobs.agent.uri"),
    ],
)
def test_an_assignment_with_an_invalid_value_is_rejected(
    machine: Machine, changes: dict[str, object], name: str
) -> None:
    machine.assign(**changes)
    assert machine.run().returncode != 0
    assert f"the assignment has no usable {name}\n" in machine.log_in_bucket()
    assert not list(machine.stubs.glob("pwned"))
    assert not machine.calls("uv venv")
    assert machine.departures() == [LEAVE["aws"]]


def test_an_assignment_that_is_not_json_is_rejected(machine: Machine) -> None:
    machine.assign()
    (machine.bucket / "trainers" / GROUP / "assignment.json").write_text("[" * 100_000)
    assert machine.run().returncode != 0
    assert "the assignment has no usable deadline" in machine.log_in_bucket()


@pytest.mark.parametrize(
    ("cloud", "asked", "name"),
    [
        ("aws", "*X-aws-ec2-metadata-token-ttl-seconds*", "token"),
        ("aws", "*instance-id", "id"),
        ("aws", "*local-ipv4", "address"),
        ("gcp", "*instance/name", "id"),
        ("gcp", "*/0/ip", "address"),
        ("gcp", "*instance/zone", "zone"),
        ("gcp", "*project/project-id", "project-id"),
    ],
)
def test_invalid_metadata_is_rejected(tmp_path: Path, cloud: str, asked: str, name: str) -> None:
    """A second line in an answer could become a header, or a variable of the service."""
    machine = Machine(tmp_path, cloud=cloud)
    machine.assign()
    assert machine.run().returncode == 0
    (machine.base / "deadline").write_text("1\n")  # what is only asked for to leave the group
    curl = (machine.programs / "curl").read_text()
    answer = f"  {asked}) printf 'i-0123\\nLD_PRELOAD=/tmp/x.so\\n' ;;\n"
    (machine.programs / "curl").write_text(curl.replace('case "$*" in\n', f'case "$*" in\n{answer}'))
    runs = [machine.run(), machine.run("if-overdue")]
    assert f"is not allowed for {name}" in machine.log + "".join(run.stderr for run in runs)
    assert not any("LD_PRELOAD" in path.read_text() for path in machine.prefix.rglob("*.environment"))
    assert not [call for call in machine.calls() if "LD_PRELOAD" in call]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLOUD", "azure"),
        ("BUCKET_URI", "s3://mine/../x"),
        ("GROUP", "a b"),
        ("REGION", "--debug"),
        ("MAX_HOURS", PLANTED),
        ("GPU", "t4\nX=1"),
    ],
)
def test_invalid_variables_of_the_machine_end_the_set_up(machine: Machine, name: str, value: str) -> None:
    machine.environment[f"CLOUDLSTM_{name}"] = value
    done = machine.run()
    assert done.returncode != 0
    assert f"is not allowed for {name}" in machine.log
    assert not (machine.stubs / "pwned").exists()
    assert machine.deadline <= time.time()


@pytest.mark.parametrize("value", [PLANTED, "", "soon"])
def test_an_unreadable_deadline_on_disk_counts_as_passed(machine: Machine, value: str) -> None:
    machine.base.mkdir(parents=True)
    (machine.base / "deadline").write_text(value)
    assert machine.run("if-overdue").returncode == 0
    assert machine.departures() == [LEAVE["aws"]]
    assert not (machine.stubs / "pwned").exists()


def test_a_machine_that_cannot_install_packages_ends(machine: Machine) -> None:
    machine.uv = '[[ $1 != pip ]] || { echo "no such hash"; exit 1; }\n'
    machine.assign()
    assert machine.run().returncode != 0
    assert "no such hash" in machine.log_in_bucket()
    assert machine.departures() == [LEAVE[machine.cloud]]


@pytest.mark.parametrize(("program", "words"), [("aws", "agent.py"), ("aws", "wheelhouse.tar"), ("nvidia-smi", "")])
def test_temporary_failures_are_retried(machine: Machine, program: str, words: str) -> None:
    machine.assign()
    machine.fail(program, 2, words=words)
    assert machine.run().returncode == 0, machine.log
    assert machine.calls("sleep") == ["sleep 2", "sleep 4"]


def test_a_machine_without_gpu_needs_no_driver_and_rejects_gpu_work(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "good", gpu="none")
    machine.assign(accelerator="cpu")
    assert machine.run().returncode == 0, machine.log
    assert not machine.calls("nvidia-smi")
    machine = Machine(tmp_path / "bad", gpu="none")
    machine.assign(accelerator="cuda")
    assert machine.run().returncode != 0
    assert "wants cuda, and this machine has no GPU" in machine.log_in_bucket()


@on_each_cloud
def test_a_machine_asks_nobody_but_the_bucket_and_its_cloud(machine: Machine) -> None:
    """No package index, no package source: what is not a stub fails, and no stub is called with another place."""
    for program in ("dnf", "apt-get", "pip", "pip3"):
        machine.program(program, "exit 1\n")
    machine.assign()
    assert machine.run().returncode == 0, machine.log
    assert not machine.calls("dnf") + machine.calls("apt-get") + machine.calls("pip")
    assert all("-m pip" not in call for call in machine.calls("python3"))
    places = {word.split("/")[2] for call in machine.calls() for word in call.split() if "://" in word}
    known = {"aws": {"mine", "169.254.169.254"}, "gcp": {"storage.googleapis.com", "metadata.google.internal"}}
    assert places == known[machine.cloud]


def test_another_wheelhouse_replaces_the_environment(machine: Machine) -> None:
    machine.assign()
    machine.run()
    left = machine.base / "venv" / "left"
    left.touch()
    machine.uv += "# another\n"
    machine.assign()
    assert machine.run().returncode == 0, machine.log
    assert len(machine.calls("uv pip install")) == 2
    assert not left.exists()


def test_an_interrupted_installation_is_repeated(machine: Machine) -> None:
    machine.assign()
    machine.fail("uv", 1, words="pip install")
    assert machine.run().returncode != 0
    assert machine.run().returncode == 0, machine.log
    assert len(machine.calls("uv pip install")) == 2


@pytest.mark.parametrize("can_import", [True, False])
def test_an_image_with_all_packages_needs_no_wheelhouse(machine: Machine, can_import: bool) -> None:
    python = machine.programs / "python-of-the-image"
    said = "" if can_import else "echo 'Traceback:' >&2; echo 'ImportError: libcudart.so.12' >&2; exit 1\n"
    machine.program(python.name, said)
    machine.assign(trainer_python=str(python), wheelhouse=None)
    done = machine.run()
    assert machine.calls(python.name) == [f"{python.name} -c import tensorflow"]
    assert not [call for call in machine.downloads() if "wheelhouse" in call]
    if can_import:
        assert done.returncode == 0, machine.log
        unit = settings_of(machine.units / "cloudlstm-agent.service")
        assert unit["ExecStart"] == f"{python} {machine.base}/jobs/agent.py"
    else:
        why = f"{python}, the image's trainer_python, cannot import tensorflow: ImportError: libcudart.so.12"
        assert why in machine.log_in_bucket()
        assert machine.departures() == [LEAVE["aws"]]


def test_an_unknown_cloud_is_named(machine: Machine) -> None:
    machine.environment["CLOUDLSTM_CLOUD"] = "azure"
    machine.environment["CLOUDLSTM_GPU"] = "none"
    (machine.base).mkdir(parents=True)
    (machine.base / "deadline").write_text("1\n")
    assert "no cloud is called azure" in machine.run("if-overdue").stderr
    assert machine.calls("shutdown")


def test_wrong_arguments_and_missing_variables_are_errors(machine: Machine) -> None:
    assert machine.run("--help").returncode == 2
    del machine.environment["CLOUDLSTM_GROUP"]
    done = machine.run()
    assert done.returncode != 0
    assert "CLOUDLSTM_GROUP" in done.stderr
    assert not machine.prefix.exists()


@on_each_cloud
def test_a_launcher_leaves_at_once_after_its_work(machine: Machine) -> None:
    machine.assign(linger=0, deadline=99_999_999_999)
    assert machine.run().returncode == 0, machine.log
    life = 12 * 3600
    assert abs(machine.deadline - time.time() - life) < 60, "its own deadline counts, since the assignment has no end"
    assert not machine.departures()
    assert machine.ended("success").returncode == 0
    assert machine.departures() == [LEAVE[machine.cloud]]
    assert machine.deadline <= time.time()


def test_a_launcher_that_fails_slowly_is_started_four_times_in_all(machine: Machine) -> None:
    machine.assign(linger=0, deadline=99_999_999_999, within=8 * 3600)
    machine.run()
    (machine.stubs / "journal").write_text("")
    for hour in range(4):
        assert not machine.departures()
        machine.program("date", f"echo {10**9 + hour * 3600}\n")
        assert machine.ended("exit-code").returncode == 0
    assert machine.departures() == [LEAVE[machine.cloud]]


def test_an_image_of_a_launcher_needs_no_tensorflow(machine: Machine, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "own-python"
    machine.program(python.name, "[[ $* != *tensorflow* ]]\n")
    machine.assign(trainer_python=str(python), imports="pyarrow")
    assert machine.run().returncode == 0, machine.log
    machine.assign(trainer_python=str(python))
    assert machine.run().returncode != 0
    assert "cannot import tensorflow" in machine.log
