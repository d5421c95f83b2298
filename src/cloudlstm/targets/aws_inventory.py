"""What of a target there is on AWS, by its tag."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloudlstm.targets.aws_api import Api
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.patience import patiently

_GONE = {"shutting-down", "terminated"}


class AwsInventory:
    """Looks for what carries the tag `cloudlstm` with the target's name."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def tagged(self) -> list[str]:
        """ARNs; machines that are on their way out are left out, though they keep their tags for an hour."""
        gone = self._gone()
        found = sorted(
            str(each["ResourceARN"])
            for each in _pages(
                Api("resourcegroupstaggingapi", self._target), "GetResources", "PaginationToken",
                "ResourceTagMappingList", TagFilters=[{"Key": "cloudlstm", "Values": [self._target.name]}],
            )
        )  # fmt: skip
        return [arn for arn in found if arn.rsplit("/", 1)[-1] not in gone]

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
