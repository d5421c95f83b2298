"""A run on a target without a way to the internet: spot machines that have nothing take everything from the bucket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from localstack.cloud import Cloud

from cloud_fixtures import PYTHON
from cloudlstm import storage
from cloudlstm.targets.bundle.package import Bundle
from cloudlstm.targets.bundle.wheelhouse import PYTHON_ARCHIVE
from emulator_fixtures import environment_of
from on_emulators import require_network
from pipeline.cli_runner import cloudlstm, report, write_config
from python_archive import python_archive
from targets.fake_clouds import LONG_S, documents


@pytest.fixture(params=["aws", "gcp"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    running: Cloud = request.getfixturevalue(f"{request.param}_cloud")
    return running


def outside(cloud: Cloud) -> int:
    """The bytes that machines have exchanged with all that is neither the bucket nor the cloud's own services."""
    ways = cloud.control.state()["traffic"]
    others = [networks["cloud"] for name, networks in ways.items() if name not in ("storage", "services")]
    return sum(sum(counts.values()) for counts in others)


def test_spot_machines_take_python_and_packages_from_the_bucket_alone(cloud: Cloud, tmp_path: Path) -> None:
    require_network(cloud)
    document: dict[str, Any] = cloud.make_target("sealed", wheelhouse=True, spot=True) | {"egress": "none"}
    place = tmp_path / "target.json"
    place.write_text(json.dumps(document))
    words = ["submit", f"--target={place}", f"--config={write_config(tmp_path)}", "train.workers=1"]
    with environment_of(cloud.environment | {PYTHON_ARCHIVE: python_archive(tmp_path / "python.tar")}):
        done = cloudlstm(*words, "--run=first", timeout_s=LONG_S)
        assert done.returncode == 0, done.stderr + done.stdout
        base = f"{document['bucket_uri']}/runs"
        (formed, ended) = documents(f"{base}/first/generations/")
        assert (len(formed["addresses"]), ended["outcome"]) == (1, "done")
        cost = report(f"{base}/first")["cost"]
        assert [(row["job"], row["spot"]) for row in cost["rows"]] == [("prepare", False), ("train", True)]

        part = Bundle(document["bucket_uri"], python=PYTHON, architecture="x86_64", accelerator="cpu")["wheelhouse"]
        assert part.sent_bytes == 0, "a second submit sends the packages again"
        assert storage.stat(part.uri).size_bytes > 500_000_000  # TensorFlow is among them
    assert outside(cloud) == 0
    assert not cloud.control.state()["machines"]
