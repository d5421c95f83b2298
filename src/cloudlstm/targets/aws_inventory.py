"""What of a target there is on AWS: its cluster, its group, and everything else by its tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloudlstm.targets.aws_api import Api
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.patience import patiently
from cloudlstm.targets.services import TrainerGroup

_GONE = {"shutting-down", "terminated"}


class AwsInventory:
    """Looks for what carries the tag `cloudlstm` with the target's name."""

    def __init__(self, target: TargetConfig, group: TrainerGroup) -> None:
        self._target, self._group = target, group

    def remains(self) -> list[str]:
        """One line each; machines that are on their way out are left out, though they keep their tags for an hour."""
        target = self._target
        cluster = patiently(lambda: Api("emr", target).call("DescribeCluster", ClusterId=target.spark_cluster))
        group = patiently(self._group.look)
        known = [
            f"Spark cluster {target.spark_cluster}: {cluster['Cluster']['Status']['State']}",
            f"trainer group {target.trainer_group}: {len(group.machines)} machines",
        ]
        gone = self._gone()
        tagged = sorted(
            str(each["ResourceARN"])
            for each in _pages(
                Api("resourcegroupstaggingapi", target), "GetResources", "PaginationToken",
                "ResourceTagMappingList", TagFilters=[{"Key": "cloudlstm", "Values": [target.name]}],
            )
        )  # fmt: skip
        return known + [arn for arn in tagged if arn.rsplit("/", 1)[-1] not in gone]

    def _gone(self) -> set[str]:
        ours = [{"Name": "tag:cloudlstm", "Values": [self._target.name]}]
        found = _pages(Api("ec2", self._target), "DescribeInstances", "NextToken", "Reservations", Filters=ours)
        instances = [each for reservation in found for each in reservation["Instances"]]
        return {each["InstanceId"] for each in instances if each["State"]["Name"] in _GONE}


def _pages(api: Api, action: str, token: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """The items of a list that comes in pages."""
    more: dict[str, Any] = dict(arguments)
    while True:
        page = patiently(lambda: api.call(action, **more))
        yield from page.get(key, ())
        if not page.get(token):
            return
        more[token] = page[token]
