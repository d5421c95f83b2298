"""Both Google Cloud roots, applied and destroyed by Terraform on a fake cloud that refuses what Google refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloudlstm.targets.document import TargetConfig, load, parse
from infra.google_cloud.emulated import rest_cluster
from infra.stand_in_provider import GoogleCloud
from infra.terraform_runner import REPOSITORY, Terraform, copied, initialized

BUCKET = "cloudlstm-my-project"
PROJECT = "-var=project=my-project"
CLUSTER = "google_dataproc_cluster"


@dataclass
class Stack:
    """Both roots with the cloud that they are applied to.

    Attributes:
        cloud: The fake cloud.
        storage: Terraform in the root that makes the bucket of runs.
        main: Terraform in the root of everything else.
    """

    cloud: GoogleCloud
    storage: Terraform
    main: Terraform

    def apply(self, *words: str) -> None:
        self.main.run("apply", "-auto-approve", PROJECT, *words)

    def refused(self, *words: str) -> str:
        """Why an apply of the main root fails, on one line."""
        failure = self.main.start("apply", "-auto-approve", PROJECT, *words).failure()
        assert failure, "the apply succeeded"
        return " ".join(failure.split())

    def outputs(self) -> dict[str, Any]:
        return {name: each["value"] for name, each in json.loads(self.main.run("output", "-json")).items()}

    def may(self, account: str, verb: str, bucket: str, name: str) -> bool:
        """True if one of the three service accounts may do this with an object."""
        email = f"cloudlstm-{account}@my-project.iam.gserviceaccount.com"
        return bool(self.cloud.ask("may", email, f"storage.objects.{verb}", bucket, name))


@contextmanager
def initialized_stack(place: Path) -> Iterator[Stack]:
    """Both roots in an empty project, with nothing applied."""
    folder = copied(place, "gcp")
    with GoogleCloud() as cloud:
        storage = initialized(folder / "storage", cloud.environment)
        yield Stack(cloud, storage, initialized(folder, cloud.environment))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with initialized_stack(tmp_path_factory.mktemp("google")) as stack:
        yield stack


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Both roots, applied once."""
    with initialized_stack(tmp_path_factory.mktemp("applied")) as stack:
        stack.storage.run("apply", "-auto-approve", PROJECT)
        stack.apply()
        yield stack


@pytest.fixture
def stack(made: Stack) -> Iterator[Stack]:
    """Both roots in a new project, with the bucket of runs made; the tests begin with nothing else."""
    made.cloud.ask("reset")
    for root in (made.storage, made.main):
        for state in root.folder.glob("terraform.tfstate*"):
            state.unlink()
    made.storage.run("apply", "-auto-approve", PROJECT)
    texts = {path: path.read_text() for path in made.main.folder.rglob("*.tf")}
    yield made
    for path, text in texts.items():
        path.write_text(text)


def replace(path: Path, right: str, wrong: str) -> None:
    text = path.read_text()
    assert right in text, f"{path.name} has no {right!r}"
    path.write_text(text.replace(right, wrong, 1))


def test_a_new_project_from_nothing_to_nothing(stack: Stack) -> None:
    bucket = stack.cloud.ask("found", "google_storage_bucket")
    stack.apply()
    for root in (stack.storage, stack.main):
        root.run("plan", PROJECT, "-out=again")
        again = json.loads(root.run("show", "-json", "again"))
        assert [
            each for each in again["resource_changes"] if each["change"]["actions"] not in (["no-op"], ["read"])
        ] == []
        assert not any(each["actions"] != ["no-op"] for each in again.get("output_changes", {}).values())

    outputs = stack.outputs()
    assert outputs.keys() - TargetConfig.model_fields.keys() == {"target_uri", "submitter"}
    target = load(str(stack.main.folder))
    place, _, name = outputs["target_uri"].removeprefix("gs://").partition("/")
    (document,) = [each["content"] for each in stack.cloud.ask("versions", place) if each["name"] == name]
    assert parse(json.loads(document), "the object") == target
    assert target.bucket_uri == f"gs://{BUCKET}"
    assert outputs["submitter"] == "cloudlstm-submitter@my-project.iam.gserviceaccount.com"

    for written in ("runs/one/config.json", "runs/one/config.json", "code/bundle.zip"):
        stack.cloud.ask("put", BUCKET, written)
    objects = stack.cloud.ask("versions", BUCKET)
    assert len(objects) == 3
    stack.main.run("destroy", "-auto-approve", PROJECT)
    assert stack.cloud.ask("remains") == {"google_storage_bucket": [BUCKET]}
    assert stack.cloud.ask("found", "google_storage_bucket") == bucket  # as protected as it was
    assert stack.cloud.ask("versions", BUCKET) == objects

    kept = stack.storage.start("destroy", "-auto-approve", PROJECT).failure()
    assert f"bucket {BUCKET} containing objects without `force_destroy`" in " ".join(kept.split())
    assert stack.cloud.ask("found", "google_storage_bucket") == bucket
    stack.storage.run("apply", "-auto-approve", PROJECT, "-var=force_destroy=true")
    stack.storage.run("destroy", "-auto-approve", PROJECT)
    assert stack.cloud.ask("remains") == {}


def test_without_a_run_everything_goes(stack: Stack) -> None:
    stack.apply()
    for root in (stack.main, stack.storage):
        root.run("destroy", "-auto-approve", PROJECT)
    assert stack.cloud.ask("remains") == {}


def test_who_may_write_what(up: Stack) -> None:
    target = up.outputs()["target_uri"].removeprefix("gs://").partition("/")[0]
    assignment, log = (f"trainers/cloudlstm-trainers/{name}" for name in ("assignment.json", "machines/1.log"))
    script = next(each["name"] for each in up.cloud.ask("versions", target) if each["name"].endswith(".sh"))
    writes = {
        (account, bucket, name)
        for account in ("spark", "trainer", "submitter")
        for bucket, name in [(BUCKET, "runs/1/x"), (BUCKET, "code/x"), (BUCKET, assignment), (BUCKET, log),
                             (target, "target.json"), (target, script)]
        if up.may(account, "create", bucket, name) or up.may(account, "delete", bucket, name)
    }  # fmt: skip
    assert writes == {
        ("spark", BUCKET, "runs/1/x"), ("trainer", BUCKET, "runs/1/x"), ("submitter", BUCKET, "runs/1/x"),
        ("submitter", BUCKET, "code/x"), ("submitter", BUCKET, assignment), ("submitter", BUCKET, log),
        ("trainer", BUCKET, log),
    }  # fmt: skip
    for account, name in (("trainer", assignment), ("trainer", "code/x"), ("spark", "code/x")):
        assert up.may(account, "get", BUCKET, name)
    assert up.may("submitter", "get", target, "target.json")


def test_what_a_new_project_lacks_for_trainers(up: Stack) -> None:
    assert up.cloud.ask("resize", 0) == ""
    lacks = up.cloud.ask("resize", 1)
    assert "GPUS_ALL_REGIONS" in lacks
    assert "SSD_TOTAL_GB" not in lacks  # a cluster of the default size and a trainer fit
    up.cloud.ask("set", "limits", {"GPUS_ALL_REGIONS": 1, "CPUS_ALL_REGIONS": 32})
    assert up.cloud.ask("resize", 1) == ""


def test_another_template_takes_over(up: Stack) -> None:
    (before,) = up.cloud.ask("found", "google_compute_instance_template")
    up.cloud.ask("set", "limits", {"GPUS_ALL_REGIONS": 4, "CPUS_ALL_REGIONS": 99, "SSD_TOTAL_GB": 999})
    up.cloud.ask("resize", 2)
    up.apply("-var=trainer_disk_gib=120")
    (after,) = up.cloud.ask("found", "google_compute_instance_template")
    assert after["id"] != before["id"]
    (group,) = up.cloud.ask("found", "google_compute_region_instance_group_manager")
    assert group["version"][0]["instance_template"].partition("?")[0].endswith(after["id"])
    assert group["target_size"] == 2  # a submit's machines are left alone


def test_a_cluster_that_deleted_itself_comes_back(up: Stack) -> None:
    up.cloud.ask("lose", CLUSTER)
    up.apply()
    assert len(up.cloud.ask("found", CLUSTER)) == 1


def test_the_definition_makes_the_cluster_that_terraform_makes(stack: Stack) -> None:
    check_definition(stack)
    key = "projects/my-project/locations/us-central1/keyRings/ring/cryptoKeys/cloud"
    stack.cloud.ask("set", "limits", {"SSD_TOTAL_GB": 999})
    check_definition(
        stack, f"-var=kms_key={key}", "-var=spark_spot=true", "-var=spark_disk_gib=60", "-var=spark_idle_minutes=30"
    )


def check_definition(stack: Stack, *words: str) -> None:
    """Applies the root; the definition in the target document is what the provider sends for the cluster."""
    stack.apply(*words)
    (cluster,) = stack.cloud.ask("found", CLUSTER)
    definition = stack.outputs()["spark_definition"]
    assert definition == rest_cluster(cluster)
    assert load(str(stack.main.folder)).spark_definition == definition
    policy = definition["config"]["autoscalingConfig"]["policyUri"]
    assert [each["id"] for each in stack.cloud.ask("found", "google_dataproc_autoscaling_policy")] == [policy]


def test_a_zone_without_the_machine_is_passed_over(stack: Stack) -> None:
    stack.cloud.ask("set", "lacking", ["us-central1-a/n1-"])
    stack.apply()
    assert stack.outputs()["trainer_zones"] == ["us-central1-b", "us-central1-c"]


def test_a_network_of_ones_own(stack: Stack) -> None:
    subnet = "projects/my-project/regions/us-central1/subnetworks/shared"
    network = stack.cloud.ask("give", "google_compute_network", {"name": "shared"})
    shared = {"name": "shared", "network": network["id"], "private_ip_google_access": True}
    stack.cloud.ask("give", "google_compute_subnetwork", shared)
    before = stack.cloud.ask("remains")
    words = (f'-var=network={{subnetwork="{subnet}"}}', "-var=egress=none")
    stack.apply(*words)
    now = stack.cloud.ask("remains")
    for kind in ("google_compute_network", "google_compute_subnetwork"):
        assert now[kind] == before[kind]
    assert "google_compute_router_nat" not in now
    stack.main.run("destroy", "-auto-approve", PROJECT, *words)
    assert stack.cloud.ask("remains") == before


def test_a_bucket_that_is_there_is_adopted(stack: Stack) -> None:
    for state in stack.storage.folder.glob("terraform.tfstate*"):
        state.unlink()
    stack.cloud.ask("put", BUCKET, "runs/old/config.json")
    stack.storage.run("apply", "-auto-approve", PROJECT, "-var=adopt=true")
    assert [each["name"] for each in stack.cloud.ask("versions", BUCKET)] == ["runs/old/config.json"]
    stack.apply()


def test_the_accounts_of_workflows(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "examples" / "ci" / "oidc-gcp", tmp_path / "root")
    words = (PROJECT, "-var=repository=owner/name")
    with GoogleCloud() as cloud:
        root = initialized(tmp_path / "root", cloud.environment)
        root.run("apply", "-auto-approve", *words)
        assert "No changes" in root.run("plan", *words)
        variables = json.loads(root.run("output", "-json"))["variables"]["value"]
        assert variables["GCP_ACCOUNT_PLAN"] == "cloudlstm-ci-plan@my-project.iam.gserviceaccount.com"
        assert variables["GCP_PROVIDER"].endswith("/workloadIdentityPools/cloudlstm-github/providers/github")
        root.run("destroy", "-auto-approve", *words)
        assert cloud.ask("remains") == {}


# What these roots avoid: each change brings a failure back that an account would have shown first.


def test_old_versions_of_terraforms_own_objects_would_keep_the_bucket(stack: Stack) -> None:
    text = (stack.main.folder / "outputs.tf").read_text()
    assert "= google_storage_bucket.target.name" in text
    replace(stack.main.folder / "outputs.tf", "= google_storage_bucket.target.name", "= local.bucket")
    stack.apply()
    stack.main.run("destroy", "-auto-approve", PROJECT)
    kept = stack.storage.start("destroy", "-auto-approve", PROJECT).failure()
    assert f"bucket {BUCKET} containing objects without `force_destroy`" in " ".join(kept.split())
    assert [(each["name"], each["current"]) for each in stack.cloud.ask("versions", BUCKET)] == [("target.json", False)]


def test_without_a_wait_the_first_cluster_would_break(stack: Stack) -> None:
    replace(stack.main.folder / "spark.tf", 'create_duration = "150s"', 'create_duration = "1s"')
    failure = stack.refused()
    assert "does not have storage.objects access (403)" in failure
    assert "Cluster cloudlstm is in state ERROR" in failure
    stack.cloud.ask("advance", 150)
    stack.apply()  # replaces the broken cluster
    assert len(stack.cloud.ask("found", CLUSTER)) == 1


def test_larger_disks_would_exceed_a_new_projects_quota(stack: Stack) -> None:
    failure = stack.refused("-var=spark_disk_gib=100")
    assert "Insufficient 'SSD_TOTAL_GB' quota. Requested 300.0, available 250.0" in failure
    assert stack.cloud.ask("found", CLUSTER) == []


def test_a_disk_smaller_than_its_image_is_refused_before_anything_is_made(stack: Stack) -> None:
    before = stack.cloud.ask("remains")
    failure = stack.refused("-var=trainer_disk_gib=40")
    assert "trainer_disk_gib" in failure
    assert stack.cloud.ask("remains") == before


def test_nodes_that_may_not_read_their_script_would_not_come_up(stack: Stack) -> None:
    replace(stack.main.folder / "identity.tf", '["spark", "submitter"] : account =>', '["submitter"] : account =>')
    replace(stack.main.folder / "spark.tf", 'google_storage_bucket_iam_member.target["spark"], ', "")
    assert "does not have 'storage.objects.get' on gs://cloudlstm-my-project-target/spark-node.sh" in stack.refused()


def test_spot_machines_that_restart_are_refused(stack: Stack) -> None:
    stack.apply("-var=trainer_spot=true", "-var=spark_spot=true")
    replace(
        stack.main.folder / "trainers.tf", "automatic_restart           = !var.trainer_spot", "automatic_restart = true"
    )
    assert "Scheduling must have automaticRestart be false" in stack.refused("-var=trainer_spot=true")


SCHEDULE = '-var=schedule={ time = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6"] }'


def test_a_schedule_comes_and_goes_with_its_variable(stack: Stack) -> None:
    stack.apply()
    without = stack.cloud.ask("remains")
    assert "schedule" not in stack.outputs()

    stack.apply(SCHEDULE)
    (job,) = stack.cloud.ask("found", "google_cloud_scheduler_job")
    assert job["http_target"][0]["uri"].endswith("/instanceGroupManagers/cloudlstm-launcher/resize?size=1")
    assert job["http_target"][0]["oauth_token"][0]["service_account_email"].startswith("cloudlstm-scheduler@")
    target = load(str(stack.main.folder))
    assert target.schedule is not None
    assert (target.schedule.group, target.schedule.models) == ("cloudlstm-launcher", ("core6",))
    assert target.schedule.target == stack.outputs()["target_uri"]

    place = "trainers/cloudlstm-launcher"
    names = ["runs/schedule/1.json", f"{place}/leases/1.json", f"{place}/machines/1.log", f"{place}/assignment.json",
             "trainers/cloudlstm-trainers/assignment.json", "code/package.zip"]  # fmt: skip
    writes = [name for name in names if stack.may("launcher", "create", BUCKET, name)]
    assert writes == [names[0], names[1], names[2], names[4]]
    assert all(stack.may("launcher", "get", BUCKET, name) for name in names)
    assert stack.may("submitter", "create", BUCKET, f"{place}/assignment.json")
    assert not any(stack.may("scheduler", verb, BUCKET, name) for verb in ("get", "create") for name in names)

    stack.apply()
    assert stack.cloud.ask("remains") == without
