"""What an AWS account says of itself and of a target: whose the credentials are, its quotas, what carries the tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cloudlstm.errors import TargetError
from cloudlstm.targets import preflight
from cloudlstm.targets.aws.client import AwsApi
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import retry_unavailable

_QUOTAS = {"none": "L-1216C47A", "gpu": "L-DB2E81BA"}
"""EC2's quotas of vCPUs running on demand: standard machines, and G and VT machines."""

_GONE = {"shutting-down", "terminated"}
"""States of machines that are listed for an hour after their end."""

_SIZE = re.compile(r"\.(?:(\d*)xlarge|(large|medium))$")


class AwsAccount:
    """The account of a target on AWS."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def credentials(self) -> str:
        told = AwsApi("sts", self._target).call("GetCallerIdentity")
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
            told = AwsApi("service-quotas", self._target).call(
                "GetServiceQuota", ServiceCode="ec2", QuotaCode=_QUOTAS[kind]
            )
        except TargetError as error:
            return f"EC2's quota cannot be read ({error.message}); {workers} trainers need {wanted} vCPUs"
        unit = f"vCPUs in {self._target.region} (quota {_QUOTAS[kind]})"
        return preflight.quota(wanted, int(told["Quota"]["Value"]), workers, unit, "ask for more under Service Quotas")

    def tagged(self) -> list[str]:
        """ARNs of what carries the tag `cloudlstm` with the target's name, but for machines on their way out."""
        gone = self._gone()
        found = sorted(
            str(each["ResourceARN"])
            for each in _pages(
                AwsApi("resourcegroupstaggingapi", self._target), "GetResources", "PaginationToken",
                "ResourceTagMappingList", TagFilters=[{"Key": "cloudlstm", "Values": [self._target.name]}],
            )
        )  # fmt: skip
        return [arn for arn in found if arn.rsplit("/", 1)[-1] not in gone]

    def _gone(self) -> set[str]:
        ours = [{"Name": "tag:cloudlstm", "Values": [self._target.name]}]
        found = _pages(AwsApi("ec2", self._target), "DescribeInstances", "NextToken", "Reservations", Filters=ours)
        instances = [each for reservation in found for each in reservation["Instances"]]
        return {each["InstanceId"] for each in instances if each["State"]["Name"] in _GONE}


def vcpus(machine: str) -> int:
    """The vCPUs of an instance type by its name: an xlarge has 4."""
    found = _SIZE.search(machine)
    if not found:
        return 0
    return 2 if found[2] else 4 * int(found[1] or 1)


def _pages(api: AwsApi, action: str, token: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """The items of a list that comes in pages."""
    more: dict[str, Any] = dict(arguments)
    while True:
        page = retry_unavailable(lambda: api.call(action, **more))
        yield from page.get(key, ())
        if not page.get(token):
            return
        more[token] = page[token]
