"""What a target has in its cloud, in any state, and whether it costs money while it exists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from cloudlstm import storage
from cloudlstm.errors import StorageError
from cloudlstm.runs.paths import join
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import Intervals, retry_unavailable
from cloudlstm.targets.services import Account, ClusterStage, Resource, SparkService, TrainerGroup
from cloudlstm.text.numbers import counted


def resources(
    config: TargetConfig, spark: SparkService, group: TrainerGroup, account: Account, intervals: Intervals
) -> list[Resource]:
    """Returns the cluster, the trainer group, what carries the target's tag, and the buckets.

    Args:
        config: The target document.
        spark: The Spark service.
        group: The trainer group.
        account: The cloud account.
        intervals: The pauses between requests.
    """
    cluster = retry_unavailable(spark.cluster, intervals=intervals)
    ended = cluster.stage is ClusterStage.ENDED
    found = Resource(f"Spark cluster {cluster.id}: {cluster.state}", "free" if ended else "costs")
    tagged = [each for each in account.tagged() if not each.text.endswith(f"cluster/{cluster.id}")]
    machines = len(retry_unavailable(group.look, intervals=intervals).machines)
    text = f"trainer group {config.trainer_group}: {counted(machines, 'machine')}"
    return [found, Resource(text, "costs" if machines else "free"), *tagged, *_buckets(config)]


def _buckets(config: TargetConfig) -> Iterator[Resource]:
    runs, logs = config.bucket_uri, "/".join(config.log_uri.split("/")[:3])
    for bucket in dict.fromkeys(filter(None, (runs, logs))):
        with suppress(StorageError):  # the bucket does not exist or is not readable
            next(iter(storage.list_objects(join(bucket, "target.json"))), None)
            yield Resource(f"bucket {bucket}", "kept" if bucket == runs else "costs")
