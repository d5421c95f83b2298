"""Settings of a root that is not applied yet are read as Terraform reads them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from cloudlstm.errors import ConfigError, UsageError
from cloudlstm.targets.hcl import NotLiteralError, read_defaults, read_pairs
from cloudlstm.targets.planned import COMPUTE, read_root
from cloudlstm.targets.quotas import Machines
from cloudlstm.targets.variables import declared, problems
from infra.terraform_runner import REPOSITORY

TFVARS = """
# which machines
trainer_gpu    = "l4" // small
trainer_spot   = true
spark_max_nodes = 7
zones = ["a", "b",]
tags  = { team = "quant", "cost-center": "7" }
/* nothing
   more */
spark_spot_max_usd = 0.192
"""


@pytest.fixture(params=["aws", "gcp"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the files of each root; on Google Cloud with its one variable that has no default."""
    folder = tmp_path / str(request.param)
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars")
    shutil.copytree(REPOSITORY / "infra" / "terraform" / str(request.param), folder, ignore=ignored)
    if request.param == "gcp":
        (folder / "project.auto.tfvars").write_text('project = "desk-7"\n')
    return folder


def test_literals_of_terraforms_language() -> None:
    assert read_pairs(TFVARS) == {
        "trainer_gpu": "l4", "trainer_spot": True, "spark_max_nodes": 7, "zones": ["a", "b"],
        "tags": {"team": "quant", "cost-center": "7"}, "spark_spot_max_usd": 0.192,
    }  # fmt: skip
    assert read_pairs('a = "x # \\" $${y}"\nb = null') == {"a": 'x # " ${y}', "b": None}
    assert read_defaults('variable "a" {\n  type = string\n}\nvariable "b" {\n  default = [1, -2.5]\n}\n') == {
        "b": [1, -2.5]
    }
    for text in ('a = "${var.b}"', "a = var.b", "a = [1", "a 1", "= 1", "a = <<EOT\nx\nEOT"):
        with pytest.raises(NotLiteralError):
            read_pairs(text)


def test_later_kinds_of_values_count(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(*words: str) -> Any:
        return read_root(str(root), words).settings["spark_machine"]

    usual = kind()
    assert usual in ("m6i.xlarge", "n2-standard-4")
    monkeypatch.setenv("TF_VAR_spark_machine", "environment")
    assert kind() == "environment"
    (root / "terraform.tfvars").write_text('spark_machine = "file"\n')
    assert kind() == "file"
    (root / "x.auto.tfvars.backup").write_text("no file of Terraform")
    (root / "x.auto.tfvars.json").write_text(json.dumps({"spark_machine": "automatic"}))
    assert kind() == "automatic"
    assert kind("spark_machine=typed") == "typed"
    assert read_root(str(root), ['zones=["c"]']).settings["zones"] == ["c"]


def test_the_machines_that_an_apply_and_a_submit_start(root: Path) -> None:
    cloud = root.name
    on_demand = read_root(str(root), ["spark_min_nodes=2", "spark_max_nodes=6", "trainer_gpu=none"]).machines(3)
    assert [(each.what, each.least, each.most, each.spot) for each in on_demand] == [
        ("Spark nodes", 3, 7, False), ("trainers", 3, 3, False),
    ]  # fmt: skip
    market = "spark_spot_max_usd=0.2" if cloud == "aws" else "spark_spot=true"
    words = ["spark_min_nodes=2", "spark_max_nodes=6", "trainer_spot=true", "trainer_gpu=l4", market]
    spark, spot, trainers = read_root(str(root), words).machines(1)
    assert (spark.least, spark.most, spark.spot) == (3, 3, False)
    assert (spot.least, spot.most, spot.spot) == (1 if cloud == "aws" else 0, 4, True)
    kind, disk = {"aws": ("g6.xlarge", 0), "gcp": ("g2-standard-4", 80)}[cloud]
    assert trainers == Machines("trainers", kind, 1, 1, spot=True, gpu="l4", disk_gib=disk)


def test_what_is_wrong_with_a_root_is_said(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, message in (
        (["trainer_gp=l4"], "the root has no variable trainer_gp"),
        (["trainer_gpu=h100"], "trainer_gpu = h100: trainer_gpu is one of none, t4, l4"),
    ):
        with pytest.raises((ConfigError, UsageError), match=message):
            read_root(str(root), words)
    (root / "terraform.tfvars").write_text("\nspark_machine = local.machine\n")
    with pytest.raises(ConfigError, match=r"terraform\.tfvars cannot be read: line 2: local where a value belongs"):
        read_root(str(root))
    with pytest.raises(UsageError, match="is not a Terraform root of cloudlstm"):
        read_root(str(tmp_path / "nowhere"))
    if root.name == "gcp":
        (root / "terraform.tfvars").unlink()
        monkeypatch.setenv(COMPUTE, "https://compute.example.org/compute/v1/")
        with pytest.raises(UsageError, match="which would get your credentials"):
            read_root(str(root))
        assert read_root(str(root), trust_endpoints=True).endpoints == {"compute": "https://compute.example.org"}
        (root / "project.auto.tfvars").unlink()
        with pytest.raises(ConfigError, match="has no value for project"):
            read_root(str(root), trust_endpoints=True)


BAD = {
    "trainer_max=many": "a number belongs here",
    "trainer_max=0": "trainer_max is a whole number from 1 to 64",
    "trainer_max=2.5": "trainer_max is a whole number from 1 to 64",
    "trainer_spot=yes": "true or false belongs here",
    "spark_machine=": "it is empty",
    "name=X": " to 20 lower-case letters",
    "zones=a": "a list of strings belongs here",
    'zones=["a", "a"]': "zones are one to six different letters",
    "spark_min_nodes=9": "to spark_max_nodes",
    "egress=maybe": 'egress is "nat" or "none"',
    "trainer_python=python": "trainer_python is empty or an absolute path",
    'submitters=["everybody"]': "submitters are",
    "network_cidr=": "it is empty",
    "network=7": "{ NAME = VALUE } belongs here",
}


@pytest.mark.parametrize("word", BAD)
def test_a_value_that_terraform_refuses_is_refused(root: Path, word: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(BAD[word])):
        read_root(str(root), [word])


def test_values_that_terraform_takes_are_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "terraform.tfvars").write_text(
        'trainer_max = "6"\ntrainer_spot = "true"\nspark_python = 3.11\nbucket = null\n'
    )
    monkeypatch.setenv("TF_VAR_zones", '["b"]')
    settings = read_root(str(root), ["spark_machine=m5.2xlarge"]).settings
    assert {name: settings[name] for name in ("trainer_max", "trainer_spot", "spark_python", "bucket", "zones")} == {
        "trainer_max": 6, "trainer_spot": True, "spark_python": "3.11", "bucket": None, "zones": ["b"],
    }  # fmt: skip


def test_a_machine_of_google_without_the_gpu_is_refused(root: Path) -> None:
    words = ['trainer_machines=["n2-standard-4"]', "trainer_gpu=t4"]
    if root.name == "gcp":
        with pytest.raises(ConfigError, match="able to carry trainer_gpu"):
            read_root(str(root), words)
        assert read_root(str(root), [*words, "trainer_gpu=none"]).trainer_machines == ("n2-standard-4",)


def test_names_that_are_no_variables(root: Path) -> None:
    (root / "terraform.tfvars").write_text('trainer_gup = "l4"\nteam = "quant"\n')
    assert read_root(str(root)).foreign == (
        "trainer_gup in terraform.tfvars (is trainer_gpu meant?)", "team in terraform.tfvars",
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"no variable regoin \(try: region=x\)"):
        read_root(str(root), ["regoin=x"])


def test_no_condition_is_broken_by_the_defaults_and_most_are_understood(root: Path) -> None:
    known = declared("\n".join(path.read_text() for path in root.glob("*.tf")))
    settings = dict(read_root(str(root)).settings)
    assert problems(known, settings) == []
    assert sum(len(each.rules) for each in known.values()) >= 25


def test_the_settings_of_the_examples_are_taken(root: Path) -> None:
    examples = sorted((REPOSITORY / "examples" / root.name).glob("*.tfvars"))
    assert len(examples) >= 3
    for path in examples:
        shutil.copy(path, root / "terraform.tfvars")
        assert read_root(str(root)).foreign == ()
