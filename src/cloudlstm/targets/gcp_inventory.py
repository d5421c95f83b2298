"""What of a target there is on Google Cloud, by its label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from cloudlstm import storage
from cloudlstm.errors import StorageError
from cloudlstm.layout import join
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp_api import Api
from cloudlstm.targets.patience import patiently


class GcpInventory:
    """Looks for what carries the label `cloudlstm` with the target's name.

    Machines and disks are what can be listed by it; of buckets those that the document names are looked for.
    """

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def tagged(self) -> list[str]:
        return [*self._labelled("Instances"), *self._labelled("Disks"), *self._buckets()]

    def _labelled(self, client: str) -> Iterator[str]:
        api, kind = Api("compute", client, self._target), client.lower()
        ours = {"project": self._target.account, "filter": f"labels.cloudlstm = {self._target.name}"}
        for place in patiently(lambda: api.each("aggregated_list", **ours)):
            for each in place.get(kind, ()):
                yield f"{kind.removesuffix('s')} {each['name']} in {each['zone'].rsplit('/', 1)[-1]}: {each['status']}"

    def _buckets(self) -> Iterator[str]:
        logs = "/".join(self._target.log_uri.split("/")[:3])
        for bucket in dict.fromkeys(filter(None, (self._target.bucket_uri, logs))):
            with suppress(StorageError):  # it is not there, or not ours to see
                next(iter(storage.list_objects(join(bucket, "target.json"))), None)
                yield f"bucket {bucket}"
