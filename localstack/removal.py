"""How a machine asks its platform to take it away and to make its group smaller by one."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping

ID = "EMULATOR_MACHINE"
"""The variable that says which machine this is: its id on AWS, its name on Google Cloud."""

GROUP_URL, INSTANCE_URL = "EMULATOR_GROUP_URL", "EMULATOR_INSTANCE_URL"
"""Variables that say the same on Google Cloud: where the group is asked, and what it calls the machine."""


def remove_self(environment: Mapping[str, str]) -> None:
    """Removes this machine from its group by the platform's API, as its own timer does at its deadline.

    Args:
        environment: The machine's.

    Raises:
        ValueError: for a platform that the emulator does not have.
        Exception: whatever says that the platform refused, or did not answer.
    """
    cloud = environment["CLOUDLSTM_CLOUD"]
    if cloud == "aws":
        import boto3

        boto3.session.Session().client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=environment[ID], ShouldDecrementDesiredCapacity=True
        )
    elif cloud == "gcp":
        body = json.dumps({"instances": [environment[INSTANCE_URL]]}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{environment[GROUP_URL]}/deleteInstances", body, headers)
        urllib.request.urlopen(request, timeout=20).close()
    else:
        raise ValueError(f"machine {environment[ID]}: no platform {cloud!r} here")
