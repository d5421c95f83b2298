"""What is looked at on AWS before a submit."""

from __future__ import annotations

import re

from cloudlstm.errors import TargetError
from cloudlstm.targets import preflight
from cloudlstm.targets.aws_api import Api
from cloudlstm.targets.document import TargetConfig

_QUOTAS = {"none": "L-1216C47A", "gpu": "L-DB2E81BA"}
"""EC2's quotas of vCPUs running on demand: standard machines, and G and VT machines."""

_SIZE = re.compile(r"\.(?:(\d*)xlarge|(large|medium))$")


class AwsPreflight:
    """Asks AWS whether a run can be carried out on the target."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def credentials(self) -> str:
        told = Api("sts", self._target).call("GetCallerIdentity")
        if told["Account"] != self._target.account:
            raise TargetError(
                f"the credentials are of account {told['Account']}, the target is in {self._target.account}",
                hint="set AWS_PROFILE to one of the target's account",
            )
        return str(told["Arn"])

    def quota(self, workers: int) -> str:
        """Spot machines count against another quota, which is the same size by default."""
        kind = "none" if self._target.trainer_gpu == "none" else "gpu"
        wanted = workers * min((vcpus(each) for each in self._target.trainer_machines), default=0)
        try:
            told = Api("service-quotas", self._target).call(
                "GetServiceQuota", ServiceCode="ec2", QuotaCode=_QUOTAS[kind]
            )
        except TargetError as error:
            return f"EC2's quota cannot be read ({error.message}); {workers} trainers need {wanted} vCPUs"
        unit = f"vCPUs in {self._target.region} (quota {_QUOTAS[kind]})"
        return preflight.quota(wanted, int(told["Quota"]["Value"]), workers, unit, "ask for more under Service Quotas")


def vcpus(machine: str) -> int:
    """The vCPUs of an instance type by its name: an xlarge has 4."""
    found = _SIZE.search(machine)
    if not found:
        return 0
    return 2 if found[2] else 4 * int(found[1] or 1)
