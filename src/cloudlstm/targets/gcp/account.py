"""The Google Cloud project of a target: credentials, quotas and labelled resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloudlstm.errors import TargetError, TargetUnavailableError
from cloudlstm.targets import preflight
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp.client import GcpApi, status_of
from cloudlstm.targets.gcp.quotas import ASK, GcpQuotas, gpu_quota
from cloudlstm.targets.gcp.trainers import ManagedTrainers
from cloudlstm.targets.polling import retry_unavailable
from cloudlstm.targets.quotas import Machines
from cloudlstm.targets.services import Resource


class GcpAccount:
    """The project of a target on Google Cloud."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def credentials(self) -> str:
        """Checks that the credentials can see the target's project: credentials do not belong to one."""
        return f"project {self._project()['name']} can be seen"

    def quota(self, workers: int) -> str:
        """Checks what the quotas leave free for trainers that do not run yet: GPUs, vCPUs and disks.

        What the cluster takes at its largest is told, too; its nodes that run are in use already.
        """
        target = self._target
        quotas = GcpQuotas(target, target.account, target.trainer_zones)
        spark_nodes = 1 + target.spark_max_nodes
        try:
            self._project()
            missing = max(workers - len(ManagedTrainers(target).look().machines), 0)
            machines = Machines(
                "trainers", target.trainer_machines[0], missing, missing, spot=target.trainer_spot,
                gpu=target.trainer_gpu, disk_gib=target.trainer_disk_gib,
            )  # fmt: skip
            found = quotas.of([machines])
            spark = spark_nodes * int(quotas.machine(target.spark_machine)["guest_cpus"])
        except TargetUnavailableError:
            raise
        except TargetError as error:
            return f"quotas cannot be read ({error.message})"
        said = [
            preflight.quota(each.most, each.free, missing, f"{each.unit} free in {each.place} (quota {each.code})", ASK)
            for each in found
        ]
        own = gpu_quota(target.trainer_gpu) if target.trainer_gpu != "none" else "CPUS"
        if not any(each.unit == ("vCPUs" if own == "CPUS" else "GPUs") for each in found):
            said = [f"there is no quota {own}", *said]
        return f"{said[0]}; Spark at its largest takes {spark} vCPUs"

    def tagged(self) -> list[Resource]:
        """Returns the machines and disks with the label `cloudlstm`, and the NAT gateway, which can have no label."""
        found = [Resource(text, "costs") for text in (*self._labelled("Instances"), *self._labelled("Disks"))]
        if self._target.egress == "nat":
            found.append(Resource("Cloud NAT, unless the network is one of your own; it has no label", "costs"))
        return found

    def _labelled(self, client: str) -> Iterator[str]:
        api, kind = GcpApi("compute", client, self._target), client.lower()
        ours = {"project": self._target.account, "filter": f"labels.cloudlstm = {self._target.name}"}
        for place in retry_unavailable(lambda: api.each("aggregated_list", **ours)):
            for each in place.get(kind, ()):
                yield f"{kind.removesuffix('s')} {each['name']} in {each['zone'].rsplit('/', 1)[-1]}: {each['status']}"

    def _project(self) -> dict[str, Any]:
        try:
            return GcpApi("compute", "Projects", self._target).call("get", project=self._target.account)
        except TargetError as error:
            if status_of(error) in (403, 404):
                error.hint = f"credentials for project {self._target.account}: gcloud auth application-default login"
            raise
