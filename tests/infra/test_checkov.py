"""checkov finds no fault in infra/ and examples/ and reads every file.

It has its own venv: its packages conflict with ours.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.terraform_runner import REPOSITORY
from requirements import without


@pytest.fixture(scope="module")
def checkov() -> str:
    """The checkov of .venv/checkov, which .ci/run installs, or the one on PATH."""
    own = REPOSITORY / ".venv" / "checkov" / "bin" / "checkov"
    found = str(own) if own.exists() else shutil.which("checkov")
    if found is None:
        without("checkov", "there is no checkov, neither in .venv/checkov nor on PATH")
    return found


def scan(checkov: str, folder: Path) -> dict[str, object]:
    """The report on a folder; checkov uses no network."""
    command = [checkov, "-d", folder, "--framework", "terraform", "--output", "json", "--skip-download"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=600)
    assert done.stdout.startswith("{"), done.stdout[-2000:] + done.stderr[-2000:]
    report: dict[str, object] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize(("folder", "least"), [("infra/terraform", 140), ("examples", 40)])
def test_checkov_finds_nothing(checkov: str, folder: str, least: int) -> None:
    report = scan(checkov, REPOSITORY / folder)
    summary, results = report["summary"], report["results"]
    assert isinstance(summary, dict)
    assert isinstance(results, dict)
    failed = [f"{each['check_id']} {each['resource']}: {each['check_name']}" for each in results["failed_checks"]]
    assert failed == []
    assert summary["parsing_errors"] == 0
    assert summary["passed"] > least  # a file that it cannot read is silently not checked
    assert all(each["check_result"]["suppress_comment"].strip() for each in results["skipped_checks"])


def test_checkov_finds_a_planted_fault(checkov: str, tmp_path: Path) -> None:
    (tmp_path / "open.tf").write_text('resource "aws_s3_bucket_public_access_block" "open" {\n  bucket = "b"\n}\n')
    report = scan(checkov, tmp_path)
    assert isinstance(report["summary"], dict)
    assert report["summary"]["failed"] > 0
