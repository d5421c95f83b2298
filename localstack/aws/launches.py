"""Launches of instances that EC2 refuses, whoever asks: a user, a group or EMR."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES, InstanceTypeOfferingBackend
from moto.ec2.models.instances import InstanceBackend

from localstack.aws import images, quotas
from localstack.aws.roles import Roles
from localstack.server.faults import Faults


def install(faults: Faults, roles: Roles) -> None:
    """Puts checks before moto's RunInstances, and applies the fault "zone-lacks" to the lists of offerings."""
    run_of_moto = InstanceBackend.run_instances
    offerings_of_moto = InstanceTypeOfferingBackend.describe_instance_type_offerings

    def run_instances(
        self: Any, image_id: str, count: int, user_data: Any, security_group_names: list[str], **kwargs: Any
    ) -> Any:
        _refuse(self, _launch(self, image_id, kwargs), count, faults, roles)
        return run_of_moto(self, image_id, count, user_data, security_group_names, **kwargs)

    def offerings(self: Any, location_type: str | None = None, filters: dict[str, Any] | None = None) -> list[Any]:
        found = offerings_of_moto(self, location_type, filters)
        names = {zone.zone_id: zone.name for zone in self.describe_availability_zones()}
        return [
            each
            for each in found
            if not _lacks(faults, names.get(each["Location"], each["Location"]), each["InstanceType"])
        ]

    InstanceBackend.run_instances = run_instances  # type: ignore[method-assign]
    InstanceTypeOfferingBackend.describe_instance_type_offerings = offerings  # type: ignore[method-assign]


@dataclass(frozen=True)
class _Launch:
    """What decides whether EC2 starts instances."""

    machine: str
    image: str | None
    zone: str
    spot: bool
    profile: str
    mappings: list[dict[str, Any]]


def _launch(ec2: Any, image: str | None, asked: dict[str, Any]) -> _Launch:
    """Returns a launch with the values of its template where the request has none."""
    template: dict[str, Any] = {}
    if asked.get("launch_template"):
        template = ec2._get_template_from_args(asked["launch_template"]).data
    own = "" if asked.get("is_instance_type_default") else str(asked.get("instance_type") or "")
    market = asked.get("instance_market_options") or (template.get("InstanceMarketOptions") or {}).get("MarketType")
    profile = template.get("IamInstanceProfile") or {}
    subnet = asked.get("subnet_id")
    zone = ec2.get_subnet(subnet).availability_zone if subnet else asked.get("placement") or f"{ec2.region_name}a"
    return _Launch(
        machine=own or str(template.get("InstanceType") or asked.get("instance_type") or ""),
        image=image or template.get("ImageId"),
        zone=str(zone),
        spot=market == "spot",
        profile=str(
            asked.get("iam_instance_profile_arn") or asked.get("iam_instance_profile_name")
            or profile.get("Arn") or profile.get("Name") or ""
        ),
        mappings=asked.get("block_device_mappings") or template.get("BlockDeviceMappings") or [],
    )  # fmt: skip


def _refuse(ec2: Any, launch: _Launch, count: int, faults: Faults, roles: Roles) -> None:
    """Raises EC2's error for a launch that is refused."""
    if launch.profile and not roles.known(ec2.account_id, launch.profile, "profile"):
        field = "arn" if launch.profile.startswith("arn:") else "name"
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({launch.profile}) for parameter iamInstanceProfile.{field} is invalid. "
            f"Invalid IAM Instance Profile {field}",
        )
    images.refuse(ec2, launch.image, launch.mappings)
    if launch.machine in INSTANCE_TYPES and not _offered(ec2, faults, launch):
        raise EC2ClientError(
            "Unsupported",
            f"Your requested instance type ({launch.machine}) is not supported in your requested Availability Zone "
            f"({launch.zone}). Please retry your request by not specifying an Availability Zone or choosing another.",
        )
    if launch.spot:
        roles.spot_allowed(ec2.account_id, None)  # EMR's role is checked where EMR starts nodes
    quotas.refuse(ec2, launch.machine, count, spot=launch.spot)


def _offered(ec2: Any, faults: Faults, launch: _Launch) -> bool:
    known = INSTANCE_TYPE_OFFERINGS["availability-zone"].get(ec2.region_name, [])
    there = any(each["Location"] == launch.zone and each["InstanceType"] == launch.machine for each in known)
    return there and not _lacks(faults, launch.zone, launch.machine)


def _lacks(faults: Faults, zone: str, machine: str) -> bool:
    """True if a fault says that a zone does not have a machine type."""
    return any(
        fnmatchcase(zone, fault.zone) and fnmatchcase(machine, fault.machine) for fault in faults.lasting("zone-lacks")
    )
