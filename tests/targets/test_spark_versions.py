"""The job prepare on every supported version of Spark: equal objects, byte for byte.

Versions come from PyPI, so this runs only where CLOUDLSTM_SPARK_VERSIONS names them: `make spark-versions`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from localstack.cloud import Cloud, Options

from cloudlstm import storage
from cloudlstm.cli.plans import submit_plan
from cloudlstm.targets import launcher, open_target
from emulator_fixtures import environment_of
from pipeline.cli_runner import data_objects, write_config

VERSIONS = os.environ.get("CLOUDLSTM_SPARK_VERSIONS", "").split()

pytestmark = pytest.mark.skipif(not VERSIONS, reason="CLOUDLSTM_SPARK_VERSIONS names no version of pyspark")


def test_every_spark_version_writes_equal_data(tmp_path: Path) -> None:
    made = {}
    for version in VERSIONS:
        with Cloud(tmp_path / version, Options(pyspark=version)) as cloud, environment_of(cloud.environment):
            document = cloud.make_target("versions")
            target = open_target(document["bucket_uri"])
            config = str(write_config(tmp_path))
            plan = submit_plan(target, config=config, overrides=[], root=None, run="versions")
            prepare = replace(plan, requests=tuple(each for each in plan.requests if each.get("job") != "train"))
            launcher.carry_out(prepare, target, lambda _: None)
            made[version] = sorted(data_objects(plan.run).values())
            ingest = storage.read_json(f"{plan.run}/manifests/ingest.json")
            assert ingest["facts"]["spark"]["version"] == version
    assert all(each == made[VERSIONS[0]] for each in made.values())
