"""Checks before a submit, also run by `doctor`: each returns what it found, or raises an error with a fix."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from cloudlstm import storage
from cloudlstm.errors import StorageError, TargetError, UsageError
from cloudlstm.runs.paths import join
from cloudlstm.targets import clusters
from cloudlstm.targets.bundle.wheelhouse import Wheelhouse
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.services import Account, ClusterStage, SparkService, TrainerGroup
from cloudlstm.text.numbers import counted

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig

Checks = Mapping[str, Callable[[], str]]
"""Name -> function that returns a description of what is fine, or raises a CloudLSTMError with a hint."""

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
    """Returns the checks of a cloud target, in the order to fix problems; without `config` those of the target.

    Args:
        target: The target document.
        spark: Its Spark service.
        group: Its trainer group.
        account: Its cloud account.
        config: Configuration of the run to submit.
        root: Root of runs.
        workers: Number of trainers that the run needs.
    """
    found: dict[str, Callable[[], str]] = {"engine": lambda: engine(config)} if config else {}
    found |= {
        "credentials": account.credentials,
        "bucket": lambda: storage_rights(root),
        "cluster": lambda: cluster(spark, target),
        "interpreter": lambda: interpreter(target),
        "packages": lambda: packages(target),
        "trainers": lambda: group_size(group, target, workers),
        "quota": lambda: account.quota(workers or 1),
    }
    if config:
        found["source"] = lambda: source(target, config)
    return found


def engine(config: RunConfig) -> str:
    """Checks that the run prepares its data with Spark, which is what a cluster runs.

    Raises:
        UsageError: it does not.
    """
    if config.prepare.engine != "spark":
        raise UsageError(
            f"prepare.engine={config.prepare.engine} runs on this machine only; the cluster of a target runs Spark",
            hint="leave prepare.engine out, or submit without --target",
        )
    return "data steps run on Spark"


def storage_rights(root: str) -> str:
    """Checks that objects below `root` can be created, read, listed and deleted."""
    probe = join(root, f"doctor-{uuid.uuid4().hex}")
    storage.write(probe, b"cloudlstm", if_absent=True)
    try:
        if storage.read(probe) != b"cloudlstm" or probe not in [item.uri for item in storage.list_objects(probe)]:
            raise StorageError(f"{root} does not give back what was written", hint="use another place")
    finally:
        storage.delete(probe)
    return f"{root} can be written, listed, read and deleted"


def cluster(spark: SparkService, target: TargetConfig) -> str:
    """Checks that the Spark cluster takes jobs, will do so, or can be started again."""
    seen = spark.cluster()
    if not clusters.usable(seen, target):
        raise clusters.unusable(seen)
    told = f"{seen.id} is {seen.state}, {seen.release or target.spark_release}"
    return f"{told}; a run starts another one" if seen.stage is ClusterStage.ENDED else told


def interpreter(target: TargetConfig) -> str:
    """Checks that the package and its pinned dependencies support the nodes' Python."""
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


def packages(target: TargetConfig) -> str:
    """Checks that trainers can get a Python with all packages."""
    if target.trainer_python:
        return f"trainers have them at {target.trainer_python} of their image"
    Wheelhouse(target.spark_python, target.accelerator)
    return f"trainers take Python {target.spark_python} and packages from {target.bucket_uri}, sent by a first submit"


def source(target: TargetConfig, config: RunConfig) -> str:
    """Checks that the cluster can reach the source of bars."""
    if target.egress == "none" and config.market.source == "yahoo":
        raise TargetError(
            "source yahoo is fetched over the internet, which machines of this target do not reach (egress = none)",
            hint='egress = "nat" in Terraform, or bars in the bucket with market.source=files',
        )
    return f"{config.market.source}, egress {target.egress}"


def group_size(group: TrainerGroup, target: TargetConfig, workers: int | None) -> str:
    """Checks that the trainer group may grow to the run's number of workers."""
    seen = group.look()
    require_room(workers or 0, seen.most, target.trainer_group)
    return f"{target.trainer_group} has {len(seen.machines)} of at most {seen.most} machines"


def require_room(workers: int, most: int, group: str) -> None:
    """Raises TargetError if the run wants more workers than the group may have machines."""
    if workers > most:
        raise TargetError(
            f"the run wants {counted(workers, 'worker')}, and {group} may have {counted(most, 'machine')}",
            hint=f"train.workers={most}, or a larger trainer_max in Terraform",
        )


def quota(needed: int, allowed: int, workers: int, unit: str, remedy: str) -> str:
    """Checks that a quota allows `workers` more trainers.

    Args:
        needed: Total units that they need.
        allowed: Units that the quota allows.
        workers: Number of trainers.
        unit: The unit, as in "vCPUs in eu-central-1 (quota L-1216C47A)".
        remedy: How to raise the quota.
    """
    if needed > allowed:
        fewer = allowed * workers // needed
        raise TargetError(
            f"{counted(workers, 'trainer')} more need {needed} {unit}, and {allowed} are allowed",
            hint=f"{remedy}, or train.workers={fewer}" if fewer else remedy,
        )
    return f"{counted(workers, 'trainer')} more would need {needed} of {allowed} {unit}"
