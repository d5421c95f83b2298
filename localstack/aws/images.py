"""Images of EC2 as this project uses them: with the size of their root's snapshot, and NVIDIA's driver image."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ssm.models import ParameterDict

GPU_IMAGE = "ami-0d1a3142c5f6e7d80"
"""The Deep Learning Base image with NVIDIA's driver, on Amazon Linux 2023."""

_PUBLIC_IMAGES = "/aws/service/deeplearning/ami/"
_LIKE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
_ROOT_GIB = {GPU_IMAGE: 75}
_USUAL_ROOT_GIB = 8


def install() -> None:
    """Adds the image and its public parameters to moto, and sizes to all images."""
    load_images, check_parameters = AmiBackend._load_amis, ParameterDict._check_loading_status

    def load(self: Any) -> None:
        load_images(self)
        self.amis[GPU_IMAGE] = Ami(
            self,
            GPU_IMAGE,
            name="Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023)",
            owner_id="898082745236",
            owner_alias="amazon",
            public=True,
            virtualization_type="hvm",
            architecture="x86_64",
            hypervisor="xen",
            root_device_type="ebs",
            root_device_name="/dev/xvda",
        )

    def check(self: Any, key: str) -> None:
        check_parameters(self, key)
        if key.startswith(_PUBLIC_IMAGES) and key not in self.keys():
            parameter = copy.copy(self[_LIKE][-1])
            parameter.name, parameter.value = key, GPU_IMAGE
            self[key] = [parameter]

    AmiBackend._load_amis = load  # type: ignore[method-assign]
    ParameterDict._check_loading_status = check  # type: ignore[method-assign]
    Ami.block_device_mappings = property(_mappings)  # type: ignore[assignment, method-assign]


def refuse(ec2: Any, image: str | None, mappings: Sequence[dict[str, Any]]) -> None:
    """Raises EC2's error if a launch's root volume is smaller than the snapshot of its image."""
    found = ec2.amis.get(image)
    if found is None:
        return
    for mapping in mappings:
        size = (mapping.get("Ebs") or {}).get("VolumeSize")
        if mapping.get("DeviceName") == found.root_device_name and size and int(size) < _root_gib(found):
            raise EC2ClientError(
                "InvalidBlockDeviceMapping",
                f"Volume of size {size}GB is smaller than snapshot '{found.ebs_snapshot.id}', "
                f"expect size >= {_root_gib(found)}GB",
            )


def _root_gib(image: Ami) -> int:
    return _ROOT_GIB.get(image.id, _USUAL_ROOT_GIB)


def _mappings(self: Ami) -> list[dict[str, Any]]:
    ebs = {"SnapshotId": self.ebs_snapshot.id, "VolumeSize": _root_gib(self), "DeleteOnTermination": True,
           "VolumeType": "gp3"}  # fmt: skip
    return [{"DeviceName": self.root_device_name, "Ebs": ebs}]
