"""How a machine asks its platform to take it away and to make its group smaller by one."""

from __future__ import annotations


def remove_self(cloud: str, group: str, machine: str) -> None:
    """Removes this machine from its group by the platform's API, as its own timer does at its deadline.

    Args:
        cloud: Which platform.
        group: Name of the machine's group.
        machine: Its id.

    Raises:
        ValueError: for a platform that the emulator does not have.
    """
    if cloud != "aws":
        raise ValueError(f"machine {machine} of {group}: no platform {cloud!r} here")
    import boto3

    boto3.session.Session().client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=machine, ShouldDecrementDesiredCapacity=True
    )
