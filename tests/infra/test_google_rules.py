"""What the fake Google Cloud refuses, one rule at a time."""

from __future__ import annotations

from typing import Any

import pytest

from infra.google_cloud import schema
from infra.google_cloud.kinds import KINDS
from infra.google_cloud.provider import Refused
from infra.google_cloud.sleeping import Sleeps
from infra.google_cloud.world import World

State = dict[str, Any]

NODE = "tested-spark@my-project.iam.gserviceaccount.com"
DISK = {"boot_disk_type": "pd-balanced", "boot_disk_size_gb": 50}


@pytest.fixture
def world() -> World:
    """A project with a network, and buckets and an account of Spark nodes whose grants are in force."""
    world = World()
    world.set("propagation_s", 60)
    world.configure({"project": "my-project", "region": "us-central1"})
    world.create("google_compute_network", {"name": "tested"})
    network = {"network": "projects/my-project/global/networks/tested"}
    world.create("google_compute_subnetwork", network | {"name": "private", "private_ip_google_access": True})
    world.create("google_compute_subnetwork", network | {"name": "cut-off"})
    accounts = {"source_service_accounts": [NODE], "target_service_accounts": [NODE]}
    allowed = {"allow": [{"protocol": protocol} for protocol in ("tcp", "udp", "icmp")]}
    world.create("google_compute_firewall", network | accounts | allowed | {"name": "tested"})
    world.create("google_dataproc_autoscaling_policy", {"policy_id": "tested", "location": "us-central1"})
    world.create("google_service_account", {"account_id": "tested-spark"})
    grant = {"member": f"serviceAccount:{NODE}"}
    world.create("google_project_iam_member", grant | {"project": "my-project", "role": "roles/dataproc.worker"})
    for name in ("runs", "staging", "temp"):
        world.create("google_storage_bucket", {"name": name, "uniform_bucket_level_access": True})
        world.create("google_storage_bucket_iam_member", grant | {"bucket": name, "role": "roles/storage.objectUser"})
    world.create("google_storage_bucket_object", {"bucket": "runs", "name": "node.sh", "content": "true"})
    world.advance(100)
    return world


def cluster(**changed: Any) -> State:
    nodes = {"machine_type": "n2-standard-4", "disk_config": [DISK]}
    config = {
        "staging_bucket": "staging",
        "temp_bucket": "temp",
        "gce_cluster_config": [{"subnetwork": "private", "service_account": NODE}],
        "autoscaling_config": [{"policy_uri": "projects/my-project/locations/us-central1/autoscalingPolicies/tested"}],
        "master_config": [nodes | {"num_instances": 1}],
        "worker_config": [nodes | {"num_instances": 2}],
        "initialization_action": [{"script": "gs://runs/node.sh"}],
    }
    return {"name": "tested", "cluster_config": [config | changed]}


def template(**changed: Any) -> State:
    wanted = {
        "name": "tested",
        "machine_type": "n1-standard-4",
        "disk": [{"source_image": "projects/x/global/images/family/common-cu129-ubuntu-2204-nvidia-580",
                  "disk_size_gb": 60, "disk_type": "pd-balanced"}],
        "guest_accelerator": [{"type": "nvidia-tesla-t4", "count": 1}],
        "scheduling": [{"on_host_maintenance": "TERMINATE", "automatic_restart": False, "preemptible": True,
                        "provisioning_model": "SPOT"}],
        "network_interface": [{"subnetwork": "private"}],
    }  # fmt: skip
    return wanted | changed


def group(**changed: Any) -> State:
    link = "https://www.googleapis.com/compute/v1/projects/my-project/global/instanceTemplates/tested?uniqueId=9"
    wanted = {"name": "tested", "target_size": 0, "distribution_policy_zones": ["us-central1-a"]}
    return wanted | {"version": [{"instance_template": link}]} | changed


TEMPLATE, GROUP = "google_compute_instance_template", "google_compute_region_instance_group_manager"
CLUSTER, MEMBER = "google_dataproc_cluster", "google_storage_bucket_iam_member"
IMAGE = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64"
INSIDE = {"internal_ip_only": True}
LIVE = {"on_host_maintenance": "MIGRATE"}
SPOT = {"provisioning_model": "SPOT", "on_host_maintenance": "TERMINATE"}
SMALL = {"machine_type": "n2-standard-4", "num_instances": 1, "disk_config": [DISK | {"boot_disk_size_gb": 20}]}
LARGE = {"machine_type": "n2-standard-4", "num_instances": 2, "disk_config": [DISK | {"boot_disk_size_gb": 150}]}
MANY = {"machine_type": "n2-standard-8", "num_instances": 2, "disk_config": [DISK]}


@pytest.mark.parametrize(
    ("kind", "wanted", "message"),
    [
        (TEMPLATE, template(disk=[{"source_image": "x/common-cu129", "disk_size_gb": 49}]), r"image size \(50 GB\)"),
        (TEMPLATE, template(disk=[{"source_image": IMAGE, "disk_size_gb": 9}]), r"image size \(10 GB\)"),
        (TEMPLATE, template(scheduling=[LIVE]), "do not support live migration"),
        (TEMPLATE, template(machine_type="g2-standard-4", guest_accelerator=[], scheduling=[LIVE]), "live migration"),
        (TEMPLATE, template(scheduling=[SPOT | {"automatic_restart": True, "preemptible": True}]), "automaticRestart"),
        (TEMPLATE, template(scheduling=[SPOT | {"automatic_restart": False}]), "preemptible must be true"),
        (TEMPLATE, template(machine_type="e2-standard-4"), "not compatible with machine type e2-standard-4"),
        (TEMPLATE, template(network_interface=[{"subnetwork": "other"}]), "'other' was not found"),
        (GROUP, group(version=[{"instance_template": "other"}]), "'other' was not found"),
        ("google_compute_network", {"name": "tested"}, "networks/tested' already exists"),
        ("google_compute_network", {"name": "Tested"}, "Invalid value for field 'resource.name'"),
        ("google_storage_bucket", {"name": "runs"}, "you already own it"),
        ("google_storage_bucket", {"name": "my-google"}, "Invalid bucket name"),
        ("google_storage_bucket_object", {"bucket": "none", "name": "x"}, "bucket does not exist"),
        (MEMBER, {"bucket": "runs", "role": "roles/storage.objectUser", "member": f"serviceAccount:no-{NODE}"},
         "does not exist"),
        ("google_project_iam_member", {"project": "my-project", "role": "projects/my-project/roles/none",
                                       "member": f"serviceAccount:{NODE}"}, "Role .* does not exist"),
        (CLUSTER, cluster(master_config=[SMALL]), "must be at least 30"),
        (CLUSTER, cluster(worker_config=[LARGE]), r"'SSD_TOTAL_GB' quota. Requested 350.0, available 250.0"),
        (CLUSTER, cluster(worker_config=[MANY]), r"'N2_CPUS' quota. Requested 20.0, available 12.0.\s.*ALL_REGIONS"),
        (CLUSTER, cluster(staging_bucket="none"), "bucket does not exist 'none'"),
        (CLUSTER, cluster(initialization_action=[{"script": "gs://runs/other.sh"}]), "object does not exist"),
        (CLUSTER, cluster(gce_cluster_config=[{"service_account": f"no-{NODE}"}]), "Service account .* does not exist"),
        (CLUSTER, cluster(gce_cluster_config=[{"subnetwork": "cut-off", "service_account": NODE, **INSIDE}]),
         "'cut-off' does not support Private Google Access"),
        (CLUSTER, cluster(lifecycle_config=[{"idle_delete_ttl": "60s"}]), "between 5 minutes and 14 days"),
    ],
)  # fmt: skip
def test_what_is_never_made(world: World, kind: str, wanted: State, message: str) -> None:
    before = world.remains()
    with pytest.raises(Refused, match=message) as caught:
        world.create(kind, wanted)
    assert caught.value.left is None
    assert world.remains() == before


def test_every_resource_type_of_the_roots_is_known() -> None:
    assert schema.google()["resource"].keys() == KINDS.keys()


def test_what_is_made(world: World) -> None:
    world.create(TEMPLATE, template())
    world.create(GROUP, group())
    world.create(CLUSTER, cluster())
    assert world.resize(0) == ""


def test_a_zone_without_the_machine_or_the_gpu(world: World) -> None:
    world.create(TEMPLATE, template())
    world.set("lacking", ["us-central1-c/nvidia-tesla-t4", "us-central1-b/n1-"])
    for zone in ("us-central1-b", "us-central1-c"):
        with pytest.raises(Refused, match=f"does not exist in zone {zone}"):
            world.create(GROUP, group(distribution_policy_zones=["us-central1-a", zone]))
    world.create(GROUP, group())
    asked = {"zone": "us-central1-b", "filter": 'name = "n1-standard-4"'}
    assert world.look_up("google_compute_machine_types", asked)["machine_types"] == []
    there = world.look_up("google_compute_machine_types", asked | {"zone": "us-central1-a"})["machine_types"]
    assert [each["name"] for each in there] == ["n1-standard-4"]


def test_quotas_of_machines_that_a_group_starts(world: World) -> None:
    world.set("limits", {"GPUS_ALL_REGIONS": 8, "NVIDIA_T4_GPUS": 2, "PREEMPTIBLE_NVIDIA_T4_GPUS": 0})
    world.create(TEMPLATE, template())
    world.create(GROUP, group())
    assert world.resize(2) == ""  # spot machines take the standard quota where none is granted for them
    world.set("limits", {"PREEMPTIBLE_NVIDIA_T4_GPUS": 1})
    assert world.resize(2) == "Quota 'PREEMPTIBLE_NVIDIA_T4_GPUS' exceeded. Limit: 1.0"
    world.set("limits", {"PREEMPTIBLE_NVIDIA_T4_GPUS": 8})
    assert world.resize(4) == "Quota 'CPUS' exceeded. Limit: 12.0, Quota 'CPUS_ALL_REGIONS' exceeded. Limit: 12.0"
    world.set("limits", {"CPUS": 99, "CPUS_ALL_REGIONS": 99})
    assert world.resize(5) == "Quota 'SSD_TOTAL_GB' exceeded. Limit: 250.0"


def test_a_grant_takes_a_while(world: World) -> None:
    old = next(each for each in world.found(MEMBER) if each["bucket"] == "temp")
    world.delete(MEMBER, old)
    world.create(MEMBER, {name: old[name] for name in ("bucket", "member", "role")})
    Sleeps(world).create("time_sleep", {"create_duration": "59s"})
    with pytest.raises(
        Refused, match=r"storage.objectUser was granted 59 s ago. Cluster tested is in state ERROR"
    ) as caught:
        world.create(CLUSTER, cluster())
    assert caught.value.left == world.found(CLUSTER)[0]
    with pytest.raises(Refused, match="Already exists"):
        world.create(CLUSTER, cluster())
    world.delete(CLUSTER, world.found(CLUSTER)[0])
    Sleeps(world).create("time_sleep", {"create_duration": "1s"})
    world.create(CLUSTER, cluster())


def test_nodes_without_a_right_do_not_come_up(world: World) -> None:
    script = cluster(initialization_action=[{"script": "gs://code/node.sh"}])
    world.create("google_storage_bucket", {"name": "code", "uniform_bucket_level_access": True})
    world.create("google_storage_bucket_object", {"bucket": "code", "name": "node.sh", "content": "true"})
    world.delete("google_project_iam_member", world.found("google_project_iam_member")[0])
    with pytest.raises(
        Refused, match=r"does not have 'dataproc.agents.create' on the project.*objects.get' on gs://code"
    ):
        world.create(CLUSTER, script)
    world.delete(CLUSTER, world.found(CLUSTER)[0])

    ours = {"member": f"serviceAccount:{NODE}"}
    role = {"role_id": "node", "permissions": ["dataproc.agents.create", "dataproc.tasks.lease",
                                               "dataproc.tasks.reportStatus"]}  # fmt: skip
    made = world.create("google_project_iam_custom_role", role)
    world.create("google_project_iam_member", ours | {"project": "my-project", "role": made["name"]})
    reads = ours | {"bucket": "code", "role": "roles/storage.objectViewer"}
    others = 'resource.type == "storage.googleapis.com/Object" && !resource.name.startsWith("{}")'
    for prefix, allowed in (
        ("projects/_/buckets/code/objects/node", False),
        ("projects/_/buckets/code/objects/x", True),
    ):
        grant = world.create(MEMBER, reads | {"condition": [{"title": "some", "expression": others.format(prefix)}]})
        assert world.may(NODE, "storage.objects.get", "code", "node.sh") is allowed
        if not allowed:
            world.delete(MEMBER, grant)
    world.advance(100)
    with pytest.raises(Refused, match=r"does not have 'storage.buckets.get' on bucket staging; .* on bucket temp"):
        world.create(CLUSTER, script)
    world.delete(CLUSTER, world.found(CLUSTER)[0])
    for bucket in ("staging", "temp"):
        world.create(MEMBER, ours | {"bucket": bucket, "role": "roles/storage.legacyBucketReader"})
    world.advance(100)
    world.create(CLUSTER, script)
    assert not world.may(NODE, "storage.objects.create", "code", "node.sh")
    assert world.may(NODE, "storage.objects.create", "runs", "node.sh")


def test_nodes_that_do_not_reach_one_another(world: World) -> None:
    (rule,) = world.found("google_compute_firewall")
    world.update("google_compute_firewall", rule, rule | {"allow": [{"protocol": "tcp"}]})
    with pytest.raises(Refused, match="cannot reach one another by icmp, udp"):
        world.create(CLUSTER, cluster())


def test_conditions_need_uniform_access(world: World) -> None:
    world.create("google_storage_bucket", {"name": "old", "uniform_bucket_level_access": False})
    condition = [{"title": "some", "expression": 'resource.name.startsWith("x")'}]
    grant = {"role": "roles/storage.objectUser", "member": f"serviceAccount:{NODE}", "condition": condition}
    with pytest.raises(Refused, match="uniform bucket-level access"):
        world.create(MEMBER, grant | {"bucket": "old"})
    world.create(MEMBER, grant | {"bucket": "runs"})


def test_a_bucket_with_versions_is_kept(world: World) -> None:
    kind = "google_storage_bucket"
    kept = world.create(kind, {"name": "kept", "versioning": [{"enabled": True}], "force_destroy": False})
    world.create(kind, {"name": "plain", "force_destroy": False})
    for bucket in ("kept", "plain"):
        written = world.create(
            "google_storage_bucket_object", {"bucket": bucket, "name": "target.json", "content": "1"}
        )
        world.update("google_storage_bucket_object", written, written | {"content": "2"})
        world.delete("google_storage_bucket_object", written)
    assert [each["current"] for each in world.versions("kept")] == [False, False]
    assert world.versions("plain") == []
    with pytest.raises(Refused, match="containing objects without `force_destroy`"):
        world.delete(kind, kept)
    world.delete(kind, {"id": "plain"})
    world.update(kind, kept, kept | {"force_destroy": True})
    world.delete(kind, kept)
    assert "kept" not in world.remains()[kind]


@pytest.mark.parametrize(
    ("kind", "user"),
    [
        ("google_compute_network", "firewalls/tested"),
        ("google_compute_subnetwork", "clusters/tested"),
        (TEMPLATE, "instanceGroupManagers/tested"),
        ("google_dataproc_autoscaling_policy", "clusters/tested"),
    ],
)
def test_what_is_in_use_is_not_deleted(world: World, kind: str, user: str) -> None:
    world.create(CLUSTER, cluster())
    world.create(TEMPLATE, template(network_interface=[]))
    world.create(GROUP, group())
    state = world.found(kind)[0]
    with pytest.raises(Refused, match=f"is already being used by '.*{user}'"):
        world.delete(kind, state)
    for each in (CLUSTER, GROUP, TEMPLATE, "google_compute_subnetwork", "google_compute_firewall"):
        world.lose(each)
    world.delete(kind, state)
