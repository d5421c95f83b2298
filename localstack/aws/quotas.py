"""EC2's quotas of vCPUs: what Service Quotas answers, and the launches that exceed them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.servicequotas.responses import ServiceQuotasResponse

from localstack.server.faults import Faults

_PLENTY = 4096
"""The value of every quota, unless the account is a fresh one."""

_STANDARD = frozenset({"a", "c", "d", "h", "hs", "i", "im", "is", "m", "r", "t", "z"})
_GRAPHICS = frozenset({"g", "gr", "vt"})


@dataclass(frozen=True)
class Quota:
    """A quota of vCPUs.

    Attributes:
        name: Its name in Service Quotas.
        families: The letters of the instance families that it counts.
        spot: Whether it counts instances of the spot market, or else those on demand.
        fresh: Its value in a new account.
    """

    name: str
    families: frozenset[str]
    spot: bool
    fresh: int


QUOTAS = {
    "L-1216C47A": Quota(
        "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", _STANDARD, spot=False, fresh=5
    ),
    "L-34B43A08": Quota(
        "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", _STANDARD, spot=True, fresh=5
    ),
    "L-DB2E81BA": Quota("Running On-Demand G and VT instances", _GRAPHICS, spot=False, fresh=0),
    "L-3819A6DF": Quota("All G and VT Spot Instance Requests", _GRAPHICS, spot=True, fresh=0),
    "L-0263D0A3": Quota("EC2-VPC Elastic IPs", frozenset(), spot=False, fresh=5),  # told, not enforced
}
"""Quotas by their codes: of vCPUs, and of addresses."""


def install(faults: Faults) -> None:
    """Adds EC2's quotas to moto's Service Quotas."""
    _Values.faults = faults
    ServiceQuotasResponse.get_service_quota = _get_service_quota  # type: ignore[method-assign]
    ServiceQuotasResponse.get_aws_default_service_quota = _get_default  # type: ignore[attr-defined]
    ServiceQuotasResponse.request_service_quota_increase = _increase  # type: ignore[attr-defined]


class _Values:
    """The values of the quotas, and the increases since the account became a fresh one."""

    faults: Faults
    granted: tuple[int, dict[str, int]] = (0, {})

    @classmethod
    def increases(cls) -> dict[str, int]:
        account = next((fault.id for fault in cls.faults.lasting("fresh-account")), 0)
        if cls.granted[0] != account:
            cls.granted = account, {}
        return cls.granted[1]

    @classmethod
    def of(cls, code: str) -> int:
        usual = QUOTAS[code].fresh if cls.faults.lasting("fresh-account") else _PLENTY
        return cls.increases().get(code, usual)


def code_of(machine: str, *, spot: bool) -> str | None:
    """Returns the code of the quota that counts a machine type; None if it is none of these."""
    family = re.match(r"[a-z]+", machine)
    for code, quota in QUOTAS.items():
        if family and family[0] in quota.families and quota.spot == spot:
            return code
    return None


def refuse(ec2: Any, machine: str, count: int, *, spot: bool) -> None:
    """Raises EC2's error if `count` more instances of this type exceed their quota."""
    code = code_of(machine, spot=spot)
    if code is None or machine not in INSTANCE_TYPES:
        return
    limit = _Values.of(code)
    used = sum(_vcpus(each) for each, theirs in _running(ec2) if code_of(each, spot=theirs) == code)
    if used + count * _vcpus(machine) <= limit:
        return
    if spot:
        raise EC2ClientError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
    raise EC2ClientError(
        "VcpuLimitExceeded",
        f"You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance bucket "
        "that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to "
        "request an adjustment to this limit.",
    )


def _running(ec2: Any) -> Iterator[tuple[str, bool]]:
    """Yields type and market of all instances that run."""
    for reservation in list(ec2.reservations.values()):
        for instance in reservation.instances:
            if instance.state in ("pending", "running"):
                yield instance.instance_type, instance.lifecycle == "spot"


def _vcpus(machine: str) -> int:
    return int(INSTANCE_TYPES[machine]["VCpuInfo"]["DefaultVCpus"]) if machine in INSTANCE_TYPES else 0


_get_of_moto = ServiceQuotasResponse.get_service_quota


def _asked(response: ServiceQuotasResponse) -> tuple[str, str, dict[str, Any]]:
    """Returns service code, quota code and all parameters of a request."""
    parameters = json.loads(response.body)
    return str(parameters.get("ServiceCode")), str(parameters.get("QuotaCode")), parameters


def _get_service_quota(self: ServiceQuotasResponse) -> str:
    """Service Quotas' GetServiceQuota."""
    service, code, _ = _asked(self)
    if service != "ec2":
        return _get_of_moto(self)
    return json.dumps({"Quota": _described(self, code) | {"Value": float(_Values.of(code))}})


def _get_default(self: ServiceQuotasResponse) -> str:
    """Service Quotas' GetAWSDefaultServiceQuota."""
    _, code, _ = _asked(self)
    return json.dumps({"Quota": _described(self, code) | {"Value": float(QUOTAS[code].fresh)}})


def _increase(self: ServiceQuotasResponse) -> str:
    """Service Quotas' RequestServiceQuotaIncrease: granted at once, here."""
    _, code, parameters = _asked(self)
    described, wanted = _described(self, code), float(parameters["DesiredValue"])
    if wanted <= _Values.of(code):
        raise JsonRESTError("IllegalArgumentException", "The desired value must be greater than the current value.")
    _Values.increases()[code] = int(wanted)
    request = {name: text for name, text in described.items() if name not in ("Adjustable",)}
    return json.dumps({"RequestedQuota": request | {"Id": code, "DesiredValue": wanted, "Status": "APPROVED"}})


def _described(response: ServiceQuotasResponse, code: str) -> dict[str, Any]:
    if code not in QUOTAS:
        message = "The request failed because the specified service quota does not exist."
        raise JsonRESTError("NoSuchResourceException", message)
    region, account = response.region, response.current_account
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:ec2/{code}",
        "QuotaCode": code,
        "QuotaName": QUOTAS[code].name,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
