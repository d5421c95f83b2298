"""The AWS account of a target: credentials, quotas and tagged resources."""

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
"""EC2 quotas of on-demand vCPUs: for standard instances, and for G and VT instances."""

_GONE = {"shutting-down", "terminated"}
"""States of instances that EC2 still lists for an hour after their end."""

_LISTED = re.compile(r"arn:[^:]*:(ec2:.*:instance/|s3:::)")
"""ARNs of instances and buckets, which have lines of their own."""

_SIZE = re.compile(r"\.(?:(\d*)xlarge|(large|medium))$")


class AwsAccount:
    """The account of a target on AWS."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def credentials(self) -> str:
        identity = AwsApi("sts", self._target).call("GetCallerIdentity")
        if identity["Account"] != self._target.account:
            raise TargetError(
                f"the credentials are of account {identity['Account']}, the target is in {self._target.account}",
                hint="set AWS_PROFILE to one of the target's account",
            )
        return str(identity["Arn"])

    def quota(self, workers: int) -> str:
        """Checks the on-demand quota; spot instances have their own quota of the same default size."""
        kind = "none" if self._target.trainer_gpu == "none" else "gpu"
        wanted = workers * min((vcpus(each) for each in self._target.trainer_machines), default=0)
        try:
            answer = AwsApi("service-quotas", self._target).call(
                "GetServiceQuota", ServiceCode="ec2", QuotaCode=_QUOTAS[kind]
            )
        except TargetError as error:
            return f"EC2's quota cannot be read ({error.message}); {workers} trainers need {wanted} vCPUs"
        unit = f"vCPUs in {self._target.region} (quota {_QUOTAS[kind]})"
        return preflight.quota(
            wanted, int(answer["Quota"]["Value"]), workers, unit, "ask for more under Service Quotas"
        )

    def tagged(self) -> list[str]:
        """Returns the machines whose tag `cloudlstm` is the target's name, and the ARNs of its other resources."""
        machines = [each for each in self._instances() if each["State"]["Name"] not in _GONE]
        lines = [
            f"instance {each['InstanceId']} in {each['Placement']['AvailabilityZone']}: {each['State']['Name']}"
            for each in machines
        ]
        found = _pages(
            AwsApi("resourcegroupstaggingapi", self._target), "GetResources", "PaginationToken",
            "ResourceTagMappingList", TagFilters=[{"Key": "cloudlstm", "Values": [self._target.name]}],
        )  # fmt: skip
        arns = sorted(str(each["ResourceARN"]) for each in found)
        return lines + [arn for arn in arns if not _LISTED.match(arn)]

    def _instances(self) -> list[dict[str, Any]]:
        filters = [{"Name": "tag:cloudlstm", "Values": [self._target.name]}]
        found = _pages(AwsApi("ec2", self._target), "DescribeInstances", "NextToken", "Reservations", Filters=filters)
        return [each for reservation in found for each in reservation["Instances"]]


def vcpus(machine: str) -> int:
    """Returns the vCPUs of an instance type by its name: an xlarge has 4; 0 if unknown."""
    found = _SIZE.search(machine)
    if not found:
        return 0
    return 2 if found[2] else 4 * int(found[1] or 1)


def _pages(api: AwsApi, action: str, token: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """Yields the items of a paginated list."""
    more: dict[str, Any] = dict(arguments)
    while True:
        page = retry_unavailable(lambda: api.call(action, **more))
        yield from page.get(key, ())
        if not page.get(token):
            return
        more[token] = page[token]
