"""What is looked at on AWS before a submit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudlstm.errors import TargetError
from cloudlstm.targets import preflight
from cloudlstm.targets.aws_api import Api
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.preflight import Checks
from cloudlstm.targets.services import TrainerGroup

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig

_QUOTAS = {"none": "L-1216C47A", "gpu": "L-DB2E81BA"}
"""EC2's quotas of vCPUs running on demand: standard machines, and G and VT machines."""

_SIZE = re.compile(r"\.(?:(\d*)xlarge|(large|medium))$")
_WORKING = {"STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"}


class AwsPreflight:
    """Asks AWS whether a run can be carried out on the target."""

    def __init__(self, target: TargetConfig, group: TrainerGroup) -> None:
        self._target, self._group = target, group

    def checks(self, config: RunConfig | None, root: str) -> Checks:
        """All checks; without a configuration those of the target alone."""
        target, workers = self._target, config.train.workers if config else None
        checks = {
            "credentials": self._credentials,
            "bucket": lambda: preflight.storage_rights(root),
            "cluster": self._cluster,
            "interpreter": lambda: preflight.interpreter(target),
            "trainers": lambda: preflight.group_size(self._group, target, workers),
            "quota": lambda: self._quota(workers or 1),
        }
        if config:
            checks["source"] = lambda: preflight.source(target, config)
        return checks

    def _credentials(self) -> str:
        told = Api("sts", self._target).call("GetCallerIdentity")
        if told["Account"] != self._target.account:
            raise TargetError(
                f"the credentials are of account {told['Account']}, the target is in {self._target.account}",
                hint="set AWS_PROFILE to one of the target's account",
            )
        return str(told["Arn"])

    def _cluster(self) -> str:
        try:
            cluster = Api("emr", self._target).call("DescribeCluster", ClusterId=self._target.spark_cluster)["Cluster"]
        except TargetError as error:
            error.hint = error.hint or "terraform apply: the target names a cluster that is not there"
            raise
        state, why = cluster["Status"]["State"], (cluster["Status"].get("StateChangeReason") or {}).get("Message", "")
        if state not in _WORKING:
            raise TargetError(
                f"cluster {self._target.spark_cluster} is {state}{f' ({why})' if why else ''}",
                hint="terraform apply starts another one: an idle cluster ends by itself",
            )
        return f"{self._target.spark_cluster} is {state}, {cluster.get('ReleaseLabel', self._target.spark_release)}"

    def _quota(self, workers: int) -> str:
        """Spot machines count against another quota, which is the same size by default."""
        kind = "none" if self._target.trainer_gpu == "none" else "gpu"
        wanted = workers * min((vcpus(each) for each in self._target.trainer_machines), default=0)
        try:
            told = Api("service-quotas", self._target).call(
                "GetServiceQuota", ServiceCode="ec2", QuotaCode=_QUOTAS[kind]
            )
        except TargetError as error:
            return f"EC2's quota cannot be read ({error.message}); {workers} trainers need {wanted} vCPUs"
        allowed = int(told["Quota"]["Value"])
        if wanted > allowed:
            raise TargetError(
                f"{workers} trainers need {wanted} vCPUs, and EC2 allows {allowed} "
                f"in {self._target.region} (quota {_QUOTAS[kind]})",
                hint=f"ask for more under Service Quotas, or train.workers={max(allowed * workers // wanted, 1)}",
            )
        return f"{wanted} of {allowed} vCPUs are needed"


def vcpus(machine: str) -> int:
    """The vCPUs of an instance type by its name: an xlarge has 4."""
    found = _SIZE.search(machine)
    if not found:
        return 0
    return 2 if found[2] else 4 * int(found[1] or 1)
