"""A Spark cluster that takes jobs: one that has ended is started again, by the definition in the target document."""

from __future__ import annotations

import time

from cloudlstm.errors import TargetError
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import INTERVALS, Intervals, Phases, Poller, retry_unavailable
from cloudlstm.targets.services import ClusterStage, ClusterStatus, SparkService

START_S = 1800.0
"""How long a cluster may take to start."""


def usable(seen: ClusterStatus, target: TargetConfig) -> bool:
    """True if a job can run on a cluster, now or after some minutes."""
    if seen.stage is ClusterStage.ENDED:
        return target.spark_definition is not None
    return seen.stage is not ClusterStage.BROKEN


def unusable(seen: ClusterStatus) -> TargetError:
    """Returns the error of a cluster that takes no jobs."""
    why = f" ({seen.reason})" if seen.reason else ""
    return TargetError(f"cluster {seen.id} is {seen.state}{why}", hint=seen.remedy)


def wait_until_ready(spark: SparkService, target: TargetConfig, intervals: Intervals = INTERVALS) -> Phases:
    """Waits until the target's cluster takes jobs; starts another one if it has ended. Yields what it waits for.

    It starts one cluster at most: one that ends before it was ready has a fault, which another one would have too.

    Args:
        spark: The Spark service.
        target: The target document.
        intervals: The pauses between requests.

    Raises:
        TargetError: The cluster needs a person, ended while it started, or was not ready in time.
    """
    seen = retry_unavailable(spark.cluster, intervals=intervals)
    poll, give_up, started = Poller(spark.cluster, intervals), time.monotonic() + START_S, False
    while seen.stage is not ClusterStage.READY:
        if started and seen.stage is ClusterStage.ENDED:
            error = unusable(seen)
            error.hint = "mend what the reason says; the next run starts another one"
            raise error
        if not usable(seen, target):
            raise unusable(seen)
        if time.monotonic() > give_up:
            raise TargetError(
                f"cluster {seen.id} is {seen.state} for {START_S / 60:.0f} minutes", hint="see the cloud's console"
            )
        if seen.stage is ClusterStage.ENDED:
            yield f"starting another Spark cluster: {seen.id} is {seen.state}"
            retry_unavailable(spark.start, intervals=intervals)
            seen, started = retry_unavailable(spark.cluster, intervals=intervals), True
            continue
        yield f"waiting for the Spark cluster {seen.id}: {seen.state}"
        seen = poll() or seen
