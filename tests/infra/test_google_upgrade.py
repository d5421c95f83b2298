"""What version 0.5 left in a project: its bucket is let go of, and no right is lost on the way to the present root."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.stand_in_provider import GoogleCloud
from infra.terraform_runner import Terraform, copied, initialized

PROJECT = "-var=project=my-project"
BUCKET = "google_storage_bucket.runs"

GRANTS_OF_0_5 = {
    'google_storage_bucket_iam_member.list["submitter"]': ("", "legacyBucketReader", "submitter"),
    'google_storage_bucket_iam_member.list["trainer"]': ("", "legacyBucketReader", "trainer"),
    "google_storage_bucket_iam_member.logs": ("-staging", "objectViewer", "submitter"),
    'google_storage_bucket_iam_member.spark["staging"]': ("-staging", "objectUser", "spark"),
    'google_storage_bucket_iam_member.spark["temp"]': ("-temp", "objectUser", "spark"),
}
"""Its grants without a condition that there still are: bucket, role, account."""


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """The main root, applied; its state has the bucket, too, as in version 0.5."""
    folder = copied(tmp_path_factory.mktemp("upgrade"), "gcp")
    with GoogleCloud() as cloud:
        storage = initialized(folder / "storage", cloud.environment)
        main = initialized(folder, cloud.environment)
        for root in (storage, main):
            root.run("apply", "-auto-approve", PROJECT)
        state = read(main.folder)
        state["resources"] += [each for each in read(storage.folder)["resources"] if each["mode"] == "managed"]
        (main.folder / "terraform.tfstate").write_text(json.dumps(state))
        yield main


def read(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((folder / "terraform.tfstate").read_text())
    return state


def test_a_bucket_in_the_state_is_let_go_of(main: Terraform) -> None:
    assert BUCKET in main.run("state", "list").split()
    main.run("plan", "-out=again", PROJECT)
    changes = json.loads(main.run("show", "-json", "again"))["resource_changes"]
    actions = {each["address"]: each["change"]["actions"] for each in changes}
    assert actions.pop(BUCKET) == ["forget"]
    assert set(map(tuple, actions.values())) == {("no-op",)}


def test_a_grant_has_the_address_that_it_had(main: Terraform) -> None:
    """Else Terraform gives the right anew and takes the old grant away afterwards, which is the same grant."""
    grants = {
        (each["bucket"], each["role"], each["member"]): address
        for address, each in values(main).items()
        if address.startswith("google_storage_bucket_iam_member.") and not each["condition"]
    }
    for address, (bucket, role, account) in GRANTS_OF_0_5.items():
        member = f"serviceAccount:cloudlstm-{account}@my-project.iam.gserviceaccount.com"
        assert grants[f"cloudlstm-my-project{bucket}", f"roles/storage.{role}", member] == address


def values(main: Terraform) -> dict[str, dict[str, Any]]:
    """The attributes of all resources by address."""
    resources = json.loads(main.run("show", "-json"))["values"]["root_module"]["resources"]
    return {each["address"]: each["values"] for each in resources}
