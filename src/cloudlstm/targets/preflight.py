"""What is looked at before a submit, and by `doctor`: each check says what it found, or how to mend it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cloudlstm import storage
from cloudlstm.errors import StorageError, TargetError
from cloudlstm.runs.paths import join
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.services import Account, SparkService, TrainerGroup

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig

Checks = Mapping[str, Callable[[], str]]
"""Name -> a function that says what is fine, and raises a CloudLSTMError with a hint where something is not."""

_OLDEST_PYTHON = (3, 11)


def checks(
    target: TargetConfig,
    spark: SparkService,
    group: TrainerGroup,
    account: Account,
    config: RunConfig | None,
    root: str,
    workers: int | None,
) -> Checks:
    """All checks of a cloud, in the order in which they are worth mending; without a configuration the target's alone.

    Args:
        target: What is examined.
        spark: Its cluster.
        group: Its trainers.
        account: Whose they are.
        config: The run that is to be submitted.
        root: Where runs lie.
        workers: How many trainers the run needs, if there is one.
    """
    found: dict[str, Callable[[], str]] = {
        "credentials": account.credentials,
        "bucket": lambda: storage_rights(root),
        "cluster": lambda: cluster(spark, target),
        "interpreter": lambda: interpreter(target),
        "trainers": lambda: group_size(group, target, workers),
        "quota": lambda: account.quota(workers or 1),
    }
    if config:
        found["source"] = lambda: source(target, config)
    return found


def storage_rights(root: str) -> str:
    """Whether objects below `root` can be created, read, listed and deleted."""
    probe = join(root, f"doctor-{uuid.uuid4().hex}")
    storage.write(probe, b"cloudlstm", if_absent=True)
    try:
        if storage.read(probe) != b"cloudlstm" or probe not in [item.uri for item in storage.list_objects(probe)]:
            raise StorageError(f"{root} does not give back what was written", hint="use another place")
    finally:
        storage.delete(probe)
    return f"{root} can be written, listed, read and deleted"


def cluster(spark: SparkService, target: TargetConfig) -> str:
    """Whether the Spark cluster takes work."""
    seen = spark.cluster()
    if not seen.takes_work:
        why = f" ({seen.reason})" if seen.reason else ""
        raise TargetError(f"cluster {target.spark_cluster} is {seen.state}{why}", hint=seen.remedy)
    return f"{target.spark_cluster} is {seen.state}, {seen.release or target.spark_release}"


def interpreter(target: TargetConfig) -> str:
    """Whether the nodes' Python is one that the package and its pinned dependencies run on."""
    if tuple(map(int, target.spark_python.split("."))) < _OLDEST_PYTHON:
        raise TargetError(
            f"Spark nodes have Python {target.spark_python}, and cloudlstm needs 3.11 or newer",
            hint='spark_python = "3.11" in Terraform, then terraform apply',
        )
    if not target.spark_python_path.endswith(target.spark_python):
        raise TargetError(
            f"the bundle is for Python {target.spark_python}, and the nodes' interpreter is {target.spark_python_path}",
            hint="spark_python and spark_python_path of the target must agree: terraform apply",
        )
    return f"{target.spark_python_path} on {target.spark_architecture}"


def source(target: TargetConfig, config: RunConfig) -> str:
    """Whether the cluster reaches the source of bars."""
    if target.egress == "none" and config.market.source == "yahoo":
        raise TargetError(
            "source yahoo is fetched over the internet, which machines of this target do not reach (egress = none)",
            hint='egress = "nat" in Terraform, or bars in the bucket with market.source=files',
        )
    return f"{config.market.source}, egress {target.egress}"


def group_size(group: TrainerGroup, target: TargetConfig, workers: int | None) -> str:
    """Whether the trainer group may have as many machines as the run wants."""
    seen = group.look()
    if workers and workers > seen.most:
        raise TargetError(
            f"the run wants {workers} workers, and {target.trainer_group} may have {seen.most} machines",
            hint=f"train.workers={seen.most}, or a larger trainer_max in Terraform",
        )
    return f"{target.trainer_group} has {len(seen.machines)} of at most {seen.most} machines"


def quota(needed: int, allowed: int, workers: int, unit: str, remedy: str) -> str:
    """Whether what `workers` more trainers need is allowed.

    Args:
        needed: What they need in all.
        allowed: How much there may be.
        workers: How many trainers that is for.
        unit: What is counted, as in "vCPUs in eu-central-1 (quota L-1216C47A)".
        remedy: How to get more of it.
    """
    if needed > allowed:
        raise TargetError(
            f"{workers} trainers need {needed} {unit}, and {allowed} are allowed",
            hint=f"{remedy}, or train.workers={max(allowed * workers // needed, 1)}",
        )
    return f"{workers} trainer{'s' if workers > 1 else ''} more would need {needed} of {allowed} {unit}"
