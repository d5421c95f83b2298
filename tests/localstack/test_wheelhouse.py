"""A trainer machine without Python packages runs bootstrap/trainer.sh itself, and needs nothing but the bucket.

tests/targets/test_no_way_out.py does the same on both clouds with a whole run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from localstack.cloud import Cloud

from cloudlstm import storage
from cloudlstm.storage.local import user_cache
from cloudlstm.targets.bundle import wheelhouse
from cloudlstm.targets.bundle.package import Bundle, Part
from emulator_fixtures import environment_of
from on_emulators import require_network, until
from python_archive import light_requirements, python_archive
from trainer_groups import PYTHON, AwsTrainers, Trainers

# Says where it runs. The first run fails, so that its unit starts it again.
AGENT = """
import os, sys, time
from pathlib import Path
from typing import Any
import google.cloud.storage, boto3
from cloudlstm import storage

if not Path("failed-once").exists():
    Path("failed-once").touch()
    sys.exit("it failed as the test demands")
facts = {"python": sys.executable, "base": sys.base_prefix, "packages": boto3.__file__, "home": os.environ["HOME"],
         "installer": [name for name in ("pip", "uv", "setuptools") if name in sys.modules], "pid": os.getpid()}
storage.write_json(f"{os.environ['CLOUDLSTM_BUCKET_URI']}/alive/{os.environ['CLOUDLSTM_ADDRESS']}", facts)
time.sleep(1000)
"""


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Wheelhouses of this session have this machine's Python, and no TensorFlow."""
    folder = tmp_path_factory.mktemp("light")
    requirements, asset = light_requirements(folder / "trainer-cpu.txt"), wheelhouse.asset
    builds = folder / "trainer-python.json"
    builds.write_text(json.dumps({PYTHON: {"url": "", "sha256": ""}}))
    with pytest.MonkeyPatch.context() as patch:
        small = {"trainer-cpu.txt": requirements, "trainer-python.json": builds}
        patch.setattr(wheelhouse, "asset", lambda kind, name: small.get(name) or asset(kind, name))
        patch.setenv(wheelhouse.PYTHON_ARCHIVE, python_archive(folder / "python.tar"))
        patch.setenv("PIP_CACHE_DIR", str(user_cache().parent / "pip"))  # what pip has fetched before
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield


@pytest.fixture
def trainers(cloud: Cloud, client: Callable[[str], Any]) -> Iterator[Trainers]:
    """A trainer group whose image has no packages."""
    group = AwsTrainers(client, cloud.make_target("bare", wheelhouse=True))
    yield group
    group.scale(0)
    until(lambda: not (cloud.control.state()["machines"] or group.instances), "all machines to go")


def sent(group: Trainers) -> Part:
    """The wheelhouse in the group's bucket, as a submit of another launcher sends it."""
    return Bundle(group.bucket.uri, python=PYTHON, architecture="x86_64", accelerator="cpu")["wheelhouse"]


def outside(cloud: Cloud) -> int:
    """The bytes that machines have sent to and received from all that is not the bucket."""
    ways = {name: networks for name, networks in cloud.control.state()["traffic"].items() if name != "storage"}
    assert set(ways) == {"services"}
    return sum(ways["services"]["cloud"].values())


def uploads(cloud: Cloud) -> int:
    """The bytes that this machine has sent into buckets."""
    return int(cloud.control.state()["traffic"]["storage"]["machine"]["sent"])


def machine_logs(trainers: Trainers) -> list[str]:
    """The logs that machines have stored."""
    keys = trainers.bucket.keys(f"trainers/{trainers.name}/machines/")
    return [trainers.bucket.get(key).decode() for key in keys]


def test_a_machine_installs_from_the_bucket_alone(cloud: Cloud, trainers: Trainers, light: None) -> None:
    require_network(cloud)
    with environment_of(cloud.environment):
        before = uploads(cloud)
        part = sent(trainers)
        assert part.sent_bytes == storage.stat(part.uri).size_bytes
        first = until(lambda: uploads(cloud) - before >= part.sent_bytes and uploads(cloud), "the count")
        assert sent(trainers).sent_bytes == 0
        time.sleep(0.5)  # until bytes would be counted
        assert uploads(cloud) - first < 100_000, "a second submit sends it again"
    before = outside(cloud)
    trainers.assign(AGENT, deadline=time.time() + 1000, wheelhouse={"uri": part.uri, "sha256": part.sha256})
    trainers.scale(1)
    (facts,) = until(lambda: trainers.reports("alive/"), "the agent").values()
    (machine,) = cloud.control.state()["machines"]
    root = Path(machine["log"]).parent / "root"
    base = root / "opt/cloudlstm"
    assert facts["python"] == f"{base}/venv/bin/python"
    assert facts["base"] == f"{base}/wheelhouse/python"
    assert facts["packages"].startswith(f"{base}/venv/lib/")
    assert facts["home"] == f"{root}/var/lib/cloudlstm"
    (log,) = machine_logs(trainers)
    assert log.splitlines() == [
        "it failed as the test demands",
        "cloudlstm-agent.service: Main process exited, code=exited, status=1",
        "the agent ended: exit-code, exited 1",
    ]
    assert not (base / "wheelhouse/wheels").exists()
    assert outside(cloud) == before, "it needs something besides the bucket"

    trainers.scale(0)
    until(lambda: not Path(f"/proc/{facts['pid']}").exists(), "its agent to end")
    trainers.assign(AGENT, deadline=time.time() + 1000, wheelhouse={"uri": part.uri, "sha256": "0" * 64})
    trainers.scale(1)
    until(lambda: trainers.size == 0, "the machine to leave its group")
    log = until(lambda: [text for text in machine_logs(trainers) if "gives up" in text], "its log")[0]
    assert f"{part.uri} does not have the sha256 {'0' * 64} that was assigned" in log
    until(lambda: outside(cloud) > before, "the count of its request")
    assert cloud.control.state()["problems"] == []
