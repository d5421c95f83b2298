"""The checks that Terraform itself runs on infra/."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.terraform_runner import REPOSITORY, Terraform, copied, initialized, require_terraform

ROOTS = sorted({path.parent for path in (REPOSITORY / "infra" / "terraform").glob("**/versions.tf")})
THINGS = {
    "alarms",
    "storage",
    "network",
    "identity",
    "spark",
    "spark_definition",
    "trainers",
    "schedule",
    "budget",
    "variables",
    "outputs",
    "versions",
}
FILES = {"terraform-aws": THINGS | {"endpoints", "firewall", "zones"}, "terraform-gcp": THINGS}
STORAGE = {"storage", "variables", "outputs", "versions"}

each_root = pytest.mark.parametrize("root", ROOTS, ids=lambda root: "-".join(root.parts[-2:]))


def test_files_are_in_standard_form() -> None:
    require_terraform()
    command = ["terraform", "fmt", "-check", "-recursive", "-diff", "-no-color", REPOSITORY / "infra"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0


def test_the_root_is_valid(terraform: Terraform) -> None:
    assert "The configuration is valid" in terraform.run("validate")


def test_plans_are_as_expected_and_bad_settings_are_rejected(tmp_path_factory: object) -> None:
    require_terraform()
    folder = copied(tmp_path_factory.mktemp("mocked"))  # type: ignore[attr-defined]
    assert "0 failed" in initialized(folder, {}).run("test")
    assert "0 failed" in initialized(folder / "storage", {}).run("test")


@each_root
def test_one_file_for_each_thing(root: Path) -> None:
    assert {path.stem for path in root.glob("*.tf")} == FILES.get("-".join(root.parts[-2:]), STORAGE)


@each_root
def test_every_variable_and_output_is_described_in_order(root: Path) -> None:
    for name, word in (("variables.tf", "variable"), ("outputs.tf", "output")):
        blocks = f"\n{(root / name).read_text()}".split(f"\n{word} ")[1:]
        assert len(blocks) > (1 if root.name == "storage" else 10)
        assert all("  description = " in block for block in blocks)
    text = (root / "variables.tf").read_text()
    names = re.findall(r'^variable "(\w+)"', text, re.MULTILINE)
    assert names == sorted(names)


@each_root
def test_the_readme_lists_every_variable_with_its_default(root: Path) -> None:
    readme = (root / "README.md").read_text()
    for name in re.findall(r'^variable "(\w+)"', (root / "variables.tf").read_text(), re.MULTILINE):
        assert f"`{name}`" in readme


def test_files_of_a_terraform_run_are_not_committed() -> None:
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        return
    command = ["git", "-C", REPOSITORY, "ls-files", "infra"]
    files = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert not [name for name in files.splitlines() if ".terraform/" in name or ".tfstate" in name]


def test_the_lock_files_fit_the_roots_and_the_provider_of_the_mirror(tmp_path: Path) -> None:
    require_terraform()
    version = "registry.terraform.io/hashicorp/aws/5.100.0/linux_amd64"
    if not (Path(os.environ.get("TF_PLUGIN_DIR", "")) / version).is_dir():
        pytest.skip("TF_PLUGIN_DIR has not the version that the lock files name")
    folder = copied(tmp_path)
    aws = REPOSITORY / "infra" / "terraform" / "aws"
    for root, target in ((aws, folder), (aws / "storage", folder / "storage")):
        shutil.copy(root / ".terraform.lock.hcl", target)
        words = ("init", f"-plugin-dir={os.environ['TF_PLUGIN_DIR']}", "-lockfile=readonly")
        assert Terraform(target, {}).start(*words).failure() == ""
        assert (target / ".terraform.lock.hcl").read_text() == (root / ".terraform.lock.hcl").read_text()
