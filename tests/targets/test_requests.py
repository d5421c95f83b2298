"""The exact requests to a cloud, compared with golden files. CLOUDLSTM_GOLDEN=1 writes the files; review them then."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from localstack.processes import free_ports

from cloudlstm.cli.plans import submit_plan
from cloudlstm.errors import MachineError, UsageError
from cloudlstm.storage import endpoints
from cloudlstm.targets import open_target

GOLDEN = Path(__file__).parent / "golden"

AWS = {
    "contract_version": 2, "cloud": "aws", "name": "desk", "account": "123456789012", "region": "eu-central-1",
    "bucket_uri": "s3://desk-runs", "spark_cluster": "j-ABC", "spark_release": "emr-spark-8.1.0",
    "spark_python": "3.11", "spark_python_path": "/usr/bin/python3.11", "spark_architecture": "aarch64", "log_uri": "s3://desk-runs/logs",
    "trainer_group": "desk-trainers", "trainer_zones": ["eu-central-1a", "eu-central-1b"],
    "trainer_machines": ["g6.xlarge", "g6.2xlarge"], "trainer_gpu": "l4", "trainer_max": 4, "trainer_port": 8470,
    "max_hours": 12, "egress": "nat", "endpoints": {},
    "spark_machine": "m7g.xlarge", "spark_min_nodes": 2, "spark_max_nodes": 4, "spark_spot": False,
    "spark_idle_minutes": 60, "trainer_spot": False, "trainer_disk_gib": 100, "trainer_python": "",
}  # fmt: skip


GCP = AWS | {
    "cloud": "gcp", "account": "desk-project", "region": "europe-west4", "bucket_uri": "gs://desk-runs",
    "spark_cluster": "desk", "spark_release": "2.3-debian12", "spark_python_path": "/opt/conda/default/bin/python3.11",
    "spark_architecture": "x86_64", "log_uri": "gs://desk-staging/google-cloud-dataproc-metainfo",
    "trainer_zones": ["europe-west4-a", "europe-west4-b"], "trainer_machines": ["g2-standard-4"],
    "spark_machine": "n2-standard-4",
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> str:
    return written(AWS, tmp_path)


def written(document: dict[str, Any], folder: Path) -> str:
    path = folder / "target.json"
    path.write_text(json.dumps({key: {"sensitive": False, "type": "x", "value": document[key]} for key in document}))
    return str(path)


def test_an_emulator_that_has_ended_is_an_error_at_once(tmp_path: Path) -> None:
    endpoints.fail_when_nothing_listens()
    (port,) = free_ports(1)
    place = written(GCP | {"endpoints": {"dataproc": f"http://127.0.0.1:{port}"}}, tmp_path)
    with pytest.raises(MachineError, match=f"nothing answers at http://127.0.0.1:{port}"):
        open_target(place)


def requests(place: str, *words: str, root: str | None = None) -> tuple[dict[str, Any], ...]:
    target = open_target(place)
    plan = submit_plan(target, config=None, overrides=["train.workers=3", *words], root=root, run="golden")
    assert plan.run == f"{root or target.root}/golden"
    return plan.requests  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("document", "name", "job"),
    [(AWS, "emr-prepare", "prepare"), (AWS, "ec2-train", "train"),
     (GCP, "dataproc-prepare", "prepare"), (GCP, "gce-train", "train")],
    ids=lambda value: value if isinstance(value, str) else value["cloud"],
)  # fmt: skip
def test_requests_match_the_golden_files(document: dict[str, Any], name: str, job: str, tmp_path: Path) -> None:
    (request,) = [each for each in requests(written(document, tmp_path)) if each.get("job") == job]
    text = json.dumps(request, indent=1) + "\n"
    path = GOLDEN / f"{name}.json"
    if os.environ.get("CLOUDLSTM_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_machines_never_live_longer_than_the_target_allows(place: str) -> None:
    for words, hours in (((), 12), (("trainers.max_hours=2",), 2), (("trainers.max_hours=48",), 12)):
        (train,) = [each for each in requests(place, *words) if each.get("job") == "train"]
        assert train["hours"] == hours


def test_a_root_that_the_machines_cannot_reach_is_rejected(place: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot reach"):
        requests(place, root=f"file://{tmp_path}")
