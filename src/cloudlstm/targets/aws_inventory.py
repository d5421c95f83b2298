"""What of a target there is on AWS, by its tag."""

from __future__ import annotations

from cloudlstm.targets.aws_api import Api
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.patience import patiently


class AwsInventory:
    """Everything that carries the tag `cloudlstm` with the target's name."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target
        self._tagging = Api("resourcegroupstaggingapi", target)

    def remains(self) -> list[str]:
        """Names of resources, in order."""
        found: list[str] = []
        more: dict[str, str] = {}
        while True:
            page = patiently(
                lambda more=more: self._tagging.call(  # type: ignore[misc]
                    "GetResources", TagFilters=[{"Key": "cloudlstm", "Values": [self._target.name]}], **more
                )
            )
            found += [str(each["ResourceARN"]) for each in page.get("ResourceTagMappingList", ())]
            if not page.get("PaginationToken"):
                return sorted(found)
            more = {"PaginationToken": page["PaginationToken"]}
