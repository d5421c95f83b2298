"""The target document: every place from which it is read, and every fault in it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from cloudlstm import storage
from cloudlstm.errors import ConfigError, MachineError, ObjectTooLargeError, UsageError
from cloudlstm.targets.document import TargetConfig, load
from infra.terraform_runner import REPOSITORY

DOCUMENT: dict[str, Any] = {
    "contract_version": 2,
    "cloud": "aws",
    "name": "mine",
    "account": "123456789012",
    "region": "eu-central-1",
    "bucket_uri": "s3://mine-123456789012-eu-central-1",
    "spark_cluster": "j-1",
    "spark_release": "emr-spark-8.1.0",
    "spark_python": "3.11",
    "spark_python_path": "/usr/bin/python3.11",
    "spark_architecture": "x86_64",
    "spark_machine": "m6i.xlarge",
    "spark_min_nodes": 2,
    "spark_max_nodes": 4,
    "spark_spot": False,
    "spark_idle_minutes": 60,
    "log_uri": "s3://mine-123456789012-eu-central-1/logs",
    "trainer_group": "mine-trainers",
    "trainer_zones": ["eu-central-1a", "eu-central-1b"],
    "trainer_machines": ["g4dn.xlarge"],
    "trainer_gpu": "t4",
    "trainer_max": 4,
    "trainer_spot": False,
    "trainer_disk_gib": 100,
    "trainer_python": "",
    "trainer_port": 8470,
    "max_hours": 12,
    "egress": "nat",
    "endpoints": {},
}


def as_outputs(document: dict[str, Any]) -> str:
    """As `terraform output -json` prints it."""
    return json.dumps({name: {"sensitive": False, "type": "any", "value": value} for name, value in document.items()})


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a `terraform` on PATH that runs shell code; returns a folder with Terraform files."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "main.tf").touch()
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def install(code: str) -> str:
        program = tmp_path / "bin" / "terraform"
        program.write_text(f"#!/bin/sh\n{code}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return str(folder)

    return install


def test_a_file_may_be_plain_or_terraforms_output(tmp_path: Path) -> None:
    plain, outputs = tmp_path / "target.json", tmp_path / "outputs.json"
    plain.write_text(json.dumps(DOCUMENT))
    outputs.write_text(as_outputs(DOCUMENT))
    assert load(str(plain)) == load(str(outputs))
    assert load(str(plain)).trainer_zones == ("eu-central-1a", "eu-central-1b")


def test_the_target_is_read_from_a_bucket() -> None:
    storage.write_json("memory://bucket-of-target/target.json", DOCUMENT)
    expected = TargetConfig.model_validate(DOCUMENT)
    for where in ("memory://bucket-of-target", "memory://bucket-of-target/", "memory://bucket-of-target/target.json"):
        assert load(where) == expected
    with pytest.raises(UsageError, match="no target document at memory://other-bucket"):
        load("memory://other-bucket")


def test_the_target_is_read_from_a_terraform_directory(terraform: Any, tmp_path: Path) -> None:
    (tmp_path / "outputs.json").write_text(as_outputs(DOCUMENT))
    code = f'[ "$1 $2" = "output -json" ] && [ -f main.tf ] && echo "a warning" >&2 && cat {tmp_path}/outputs.json'
    assert load(terraform(code)).spark_cluster == "j-1"


def test_every_missing_and_every_wrong_output_is_named(tmp_path: Path) -> None:
    document = {name: value for name, value in DOCUMENT.items() if name not in ("region", "egress")}
    path = tmp_path / "target.json"
    path.write_text(json.dumps(document | {"trainer_port": 80, "spark_architecture": "riscv"}))
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    for part in ("the outputs region, egress are missing", "trainer_port", "not 80", "spark_architecture", "'riscv'"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_version_of_the_contract_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "target.json"
    path.write_text(json.dumps({"contract_version": 1, "zones": []}))
    with pytest.raises(ConfigError, match="has contract_version 1, and this cloudlstm knows 2"):
        load(str(path))


def test_unknown_outputs_and_missing_endpoints_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "target.json"
    path.write_text(json.dumps({key: value for key, value in DOCUMENT.items() if key != "endpoints"} | {"vpc": "x"}))
    assert load(str(path)).endpoints == {}


def test_a_document_may_define_the_cluster_and_older_ones_do_not(tmp_path: Path) -> None:
    definition = {"Name": "mine", "Instances": {"InstanceGroups": [{"InstanceRole": "MASTER", "InstanceCount": 1}]}}
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(as_outputs(DOCUMENT))
    new.write_text(as_outputs(DOCUMENT | {"spark_definition": definition}))
    assert load(str(old)).spark_definition is None
    assert load(str(new)).spark_definition == definition


def test_the_error_for_an_unapplied_directory_says_so(terraform: Any) -> None:
    with pytest.raises(ConfigError, match="has no outputs: nothing is applied there"):
        load(terraform("echo '{}'"))


def test_a_root_without_init_is_as_one_that_is_not_applied(terraform: Any) -> None:
    folder = terraform("printf '│ Error: \033[1mRequired plugins are not installed\n' >&2; exit 1")
    with pytest.raises(ConfigError, match=r"nothing is applied there \(try: terraform -chdir=\S+ init, then .* apply"):
        load(folder)
    (Path(folder) / "terraform.tfstate").touch()
    with pytest.raises(MachineError, match="Required plugins are not installed"):
        load(folder)


def test_a_storage_root_is_named_with_the_root_above_it(tmp_path: Path) -> None:
    for cloud in ("aws", "gcp"):
        root = REPOSITORY / "infra" / "terraform" / cloud
        with pytest.raises(UsageError, match=rf"is a storage root.*--target=\S+/{cloud}\)"):
            load(str(root / "storage"))
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps({"bucket": {"value": "x"}, "bucket_uri": {"value": "s3://x"}}))
    with pytest.raises(ConfigError, match="the outputs of a storage root"):
        load(str(saved))


def test_the_error_of_terraform_is_shown(terraform: Any) -> None:
    folder = terraform("printf '╷\\n│ Error: Backend initialization required\\n│ \\n' >&2; exit 1")
    with pytest.raises(MachineError, match=r"failed in .*: Error: Backend initialization required .*init"):
        load(folder)


def test_the_error_without_terraform_names_the_other_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "main.tf").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="neither is on PATH"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[1]", "not a target document but a list"),
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_value_that_is_not_a_document_is_rejected(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "target.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=part):
        load(str(path))


def test_a_missing_path_and_a_folder_without_terraform_have_different_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no target at"):
        load(str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="holds no Terraform files"):
        load(str(tmp_path))


def test_a_large_file_or_a_device_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "target.json"
    path.write_text(" " * (2**20 + 1))
    for where in (str(path), f"file://{path}"):
        with pytest.raises(ObjectTooLargeError, match="has 1048577 bytes, and at most 1048576 are read"):
            load(where)
    with pytest.raises(UsageError, match="no target at /dev/zero"):
        load("/dev/zero")
