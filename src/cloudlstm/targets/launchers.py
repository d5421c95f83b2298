"""The group of a target's launchers: what it has now, and its end."""

from __future__ import annotations

from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import retry_unavailable
from cloudlstm.targets.services import Resource, TrainerGroup
from cloudlstm.text.numbers import counted


def resources(config: TargetConfig) -> list[Resource]:
    """Returns the group with the number of its machines; nothing if the target has no schedule."""
    if config.schedule is None:
        return []
    machines = working(config)
    text = f"launcher group {config.schedule.group}: {counted(machines, 'machine')}"
    return [Resource(text, "costs" if machines else "free")]


def working(config: TargetConfig) -> int:
    """Returns the number of launchers that the target with a schedule has now."""
    return len(retry_unavailable(_group(config).look).machines)


def stop(config: TargetConfig) -> list[str]:
    """Ends a launcher that works, so that it submits nothing more; returns what was done."""
    if config.schedule is None:
        return []
    group = _group(config)
    found = retry_unavailable(group.look)
    if not (found.size or found.machines):
        return []
    retry_unavailable(lambda: group.send(group.size_request(0)))
    return [f"set {config.schedule.group} from {counted(found.size, 'machine')} to 0"]


def _group(config: TargetConfig) -> TrainerGroup:
    """The group as a service; the classes of trainers do, since it is a group of the same kind."""
    assert config.schedule
    of_launchers = config.model_copy(
        update={
            "trainer_group": config.schedule.group,
            "trainer_machines": (config.schedule.machine,),
            "trainer_max": 1,
        }
    )
    if config.cloud == "aws":
        from cloudlstm.targets.aws.trainers import AutoScalingTrainers

        return AutoScalingTrainers(of_launchers)
    from cloudlstm.targets.gcp.trainers import ManagedTrainers

    return ManagedTrainers(of_launchers)
