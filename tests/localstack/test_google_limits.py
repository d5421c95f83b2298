"""Machines that the emulated Google Cloud does not start, and one that shuts itself down."""

from __future__ import annotations

import itertools
import os
import signal
from typing import Any

import pytest
from localstack.cloud import Cloud

from on_emulators import refused, until
from trainer_groups import Trainers, compute

NUMBERS = itertools.count()
WHERE = {"project": "emulated", "region": "us-central1"}
DRIVER_IMAGE = "projects/deeplearning-platform-release/global/images/family/common-cu129-ubuntu-2204-nvidia-580"
T4 = [{"accelerator_type": "nvidia-tesla-t4", "accelerator_count": 1}]
SPOT = {"scheduling": {"provisioning_model": "SPOT"}}


class Group:
    """A new group whose machines have these properties; empty."""

    def __init__(self, target: dict[str, Any], shape: str = "EVEN", **properties: Any) -> None:
        name = f"limited-{next(NUMBERS)}"
        self._groups = compute(target, "RegionInstanceGroupManagersClient")
        disk = {"boot": True, "initialize_params": {"disk_size_gb": properties.pop("gib", 50)}}
        disk["initialize_params"] |= {"disk_type": properties.pop("disk", "pd-balanced")}
        disk["initialize_params"] |= {"source_image": properties.pop("image", "")}
        wanted = {"machine_type": "e2-standard-4", "disks": [disk], **properties}
        templates = compute(target, "InstanceTemplatesClient")
        templates.insert_unary(project="emulated", instance_template_resource={"name": name, "properties": wanted})
        group = {
            "name": name,
            "target_size": 0,
            "versions": [{"instance_template": f"global/instanceTemplates/{name}"}],
            "distribution_policy": {
                "target_shape": shape,
                "zones": [{"zone": f"zones/us-central1-{letter}"} for letter in "abc"],
            },
        }
        self._groups.insert_unary(instance_group_manager_resource=group, **WHERE)
        self._where = WHERE | {"instance_group_manager": name}

    def scale(self, size: int) -> None:
        self._groups.resize_unary(size=size, **self._where)

    def zones(self, size: int) -> list[str]:
        """The letters of the zones of its machines, when all run."""
        self.scale(size)
        machines = until(lambda: self._running(size), "the machines")
        return sorted(each.instance.partition("/zones/")[2].partition("/")[0][-1] for each in machines)

    def error(self, size: int) -> str:
        """The first error of the last machine; the group is empty afterwards."""
        self.scale(size)
        error = until(lambda: list(self._groups.list_errors(**self._where)), "an error")[0].error
        assert not self._running(size)
        self.scale(0)
        until(lambda: not self._machines(), "the group to be empty")
        return f"{error.code}: {error.message}"

    def _machines(self) -> list[Any]:
        return list(self._groups.list_managed_instances(**self._where))

    def _running(self, size: int) -> list[Any]:
        running = [each for each in self._machines() if each.instance_status == "RUNNING"]
        return running if len(running) == size else []


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"image": DRIVER_IMAGE, "gib": 49}, "'49'. Requested disk size cannot be smaller than the image size (50 GB)"),
        ({"guest_accelerators": T4}, "QUOTA_EXCEEDED: Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: 0.0 globally."),
        ({"guest_accelerators": [T4[0] | {"accelerator_count": 2}], **SPOT},
         "QUOTA_EXCEEDED: Quota 'PREEMPTIBLE_NVIDIA_T4_GPUS' exceeded.  Limit: 1.0 in region us-central1."),
        ({"guest_accelerators": [T4[0] | {"accelerator_count": 2}]}, "Quota 'NVIDIA_T4_GPUS' exceeded.  Limit: 1.0"),
    ],
    ids=["disk", "gpus", "spot", "on demand"],
)  # fmt: skip
def test_a_machine_that_never_starts(gcp_target: dict[str, Any], properties: dict[str, Any], message: str) -> None:
    assert message in Group(gcp_target, **properties).error(1)


def test_quotas_of_a_new_project(gcp: Cloud, gcp_target: dict[str, Any]) -> None:
    gcp.control.fault("fresh-account")
    assert "Quota 'SSD_TOTAL_GB' exceeded.  Limit: 250.0" in Group(gcp_target, gib=300).error(1)
    assert "Quota 'CPUS_ALL_REGIONS' exceeded.  Limit: 12.0 globally" in Group(gcp_target, disk="pd-standard").error(1)
    regions = compute(gcp_target, "RegionsClient").get(project="emulated", region="us-central1")
    assert {each.metric: each.limit for each in regions.quotas}["SSD_TOTAL_GB"] == 250
    projects = compute(gcp_target, "ProjectsClient").get(project="emulated")
    assert {each.metric: each.limit for each in projects.quotas}["CPUS_ALL_REGIONS"] == 12

    from google.auth.credentials import AnonymousCredentials
    from google.cloud import dataproc_v1

    rest = dataproc_v1.ClusterControllerClient.get_transport_class("rest")
    host = gcp_target["endpoints"]["dataproc"]
    clusters = dataproc_v1.ClusterControllerClient(
        transport=rest(host=host, credentials=AnonymousCredentials(), url_scheme="http")
    )
    disk = {"boot_disk_type": "pd-ssd", "boot_disk_size_gb": 150}
    nodes = {"num_instances": 2, "machine_type_uri": "n2-standard-4", "disk_config": disk}
    wanted = {"project_id": "emulated", "cluster_name": "too-large", "config": {"worker_config": nodes}}
    message = "Insufficient 'SSD_TOTAL_GB' quota. Requested 300.0, available "  # minus what other tests run
    where = {"project_id": "emulated", "region": "us-central1"}
    assert "'N2_CPUS'" in refused(clusters.create_cluster, 400, message, cluster=wanted, **where).message
    assert "too-large" not in [each.cluster_name for each in clusters.list_clusters(**where)]


def test_a_zone_without_the_machine_type(gcp: Cloud, gcp_target: dict[str, Any]) -> None:
    gcp.control.fault("zone-lacks", zone="us-central1-a", machine="e2-*")
    types = compute(gcp_target, "MachineTypesClient")
    place = {"project": "emulated", "machine_type": "e2-standard-4"}
    refused(types.get, 404, "machineTypes/e2-standard-4' was not found", zone="us-central1-a", **place)
    assert types.get(zone="us-central1-b", **place).guest_cpus == 4
    error = "zones/us-central1-a/machineTypes/e2-standard-4' was not found"
    assert error in Group(gcp_target, shape="EVEN").error(1)
    for shape, zones in (("ANY", ["b", "c"]), ("ANY_SINGLE_ZONE", ["b", "b"])):
        group = Group(gcp_target, shape=shape)
        assert group.zones(2) == zones
        group.scale(0)


@pytest.mark.parametrize("box", ["gcp"], indirect=True)
def test_a_machine_that_shuts_itself_down_is_replaced(box: Cloud, trainers: Trainers) -> None:
    trainers.scale(1)
    (before,) = until(lambda: box.control.state()["machines"], "the machine")
    os.kill(before["pid"], signal.SIGKILL)
    after = until(lambda: [each for each in box.control.state()["machines"] if each["id"] != before["id"]], "another")
    assert [each["name"] for each in after] == [before["name"]]
    assert trainers.size == 1
    trainers.remove(after[0]["id"])  # this is how a machine leaves for good
    until(lambda: not trainers.instances, "the machine to go")
    assert trainers.size == 0
    assert box.control.state()["machines"] == []
