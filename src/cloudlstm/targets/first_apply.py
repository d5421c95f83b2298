"""What an account must allow before the first `terraform apply` and the first submit."""

from __future__ import annotations

from cloudlstm.errors import TargetError
from cloudlstm.targets.planned import PlannedRoot
from cloudlstm.targets.quotas import Quota


def region(root: PlannedRoot) -> str:
    """Returns the region; raises TargetError if no such region is known."""
    if root.cloud == "aws":
        from cloudlstm.targets.aws.client import require_region

        require_region(root.region)
    return root.region


def trainers(root: PlannedRoot, workers: int) -> str:
    """Returns how many trainers of how many a run starts; raises TargetError if they are more than the group may have.

    Args:
        root: The root with its settings.
        workers: Number of trainers.
    """
    most = int(root.settings["trainer_max"])
    if workers > most:
        raise TargetError(
            f"the run wants {workers} workers, and trainer_max is {most}",
            hint=f"train.workers={most}, or trainer_max={workers}",
        )
    return f"{workers} of at most {most}"


def credentials(root: PlannedRoot) -> str:
    """Returns whose credentials are used; raises TargetError without any."""
    if root.cloud == "aws":
        from cloudlstm.targets.aws.client import AwsApi

        return str(AwsApi("sts", root).call("GetCallerIdentity")["Arn"])
    from cloudlstm.targets.gcp.client import GcpApi

    found = GcpApi("compute", "Projects", root).call("get", project=root.project)
    return f"project {found['name']} can be seen"


def quotas(root: PlannedRoot, workers: int) -> list[Quota]:
    """Returns every quota that an apply and a submit take from, with what the account has.

    Machines of an earlier apply of the same root are not counted as in use on AWS; on Google Cloud they are.

    Args:
        root: The root with its settings.
        workers: Number of trainers.

    Raises:
        TargetError: the account may not ask, or a machine type does not exist or lacks the GPU.
    """
    machines = root.machines(workers)
    if root.cloud == "aws":
        from cloudlstm.targets.aws.quotas import Ec2Quotas

        ec2 = Ec2Quotas(root)
        for kind in root.trainer_machines:
            ec2.require_accelerator(kind, str(root.settings["trainer_gpu"]))
        found = ec2.of(machines, without=root.name)
        if root.makes_network:
            found += ec2.of_network(addresses=1 if root.settings["egress"] == "nat" else 0)
        return found
    from cloudlstm.targets.gcp.quotas import GcpQuotas

    return GcpQuotas(root, root.project, root.zones).of(machines, networks=1 if root.makes_network else 0)


def verdict(quota: Quota) -> str:
    """Returns what a quota allows.

    Raises:
        TargetError: not all that must start fits; the hint says what to ask for.
    """
    if quota.least > quota.free:
        raise TargetError(f"too small a quota: {quota}", hint=quota.remedy())
    return str(quota)
