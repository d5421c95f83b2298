"""EC2's quotas of vCPUs: by class of instances, and by the spot market or on demand; and what runs in the region."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudlstm.errors import TargetError, TargetUnavailableError
from cloudlstm.targets.aws.client import AwsApi
from cloudlstm.targets.polling import retry_unavailable
from cloudlstm.targets.quotas import Machines, Need, Place, Quota

_ASKED_AT_ONCE = 100
"""Most instance types in one DescribeInstanceTypes."""

_STANDARD = {"a", "c", "d", "h", "hs", "i", "im", "is", "m", "r", "t", "z"}
_GRAPHICS = {"g", "gr", "vt"}
_CLASSES = (
    (_STANDARD, False, "L-1216C47A", "Running On-Demand Standard instances"),
    (_STANDARD, True, "L-34B43A08", "All Standard Spot Instance Requests"),
    (_GRAPHICS, False, "L-DB2E81BA", "Running On-Demand G and VT instances"),
    (_GRAPHICS, True, "L-3819A6DF", "All G and VT Spot Instance Requests"),
)
"""The letters of instance families, whether from the spot market, and their quota with its name without letters."""

_NAMES = {code: name for _, _, code, name in _CLASSES}


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance that counts for a quota.

    Attributes:
        kind: Its type.
        spot: Whether it is from the spot market.
        tags: Its tags.
    """

    kind: str
    spot: bool
    tags: Mapping[str, str]


def code_of(kind: str, *, spot: bool) -> str:
    """Returns the quota that counts a type.

    Raises:
        TargetError: its class is none that this module knows.
    """
    family = re.match(r"[a-z]+", kind)
    for letters, market, code, _ in _CLASSES:
        if family and family[0] in letters and market == spot:
            return code
    raise TargetError(
        f"the quota of instance type {kind} is not known: it is neither standard nor G or VT",
        hint="see Service Quotas, Amazon EC2",
    )


class Ec2Quotas:
    """Quotas and instances of an account in a region.

    Args:
        place: The target document, or settings that are not yet applied.
    """

    def __init__(self, place: Place) -> None:
        self._region = place.region
        self._ec2, self._service = AwsApi("ec2", place), AwsApi("service-quotas", place)
        self._vcpus: dict[str, int] = {}
        self._types: dict[str, dict[str, Any]] = {}
        self._running: list[Instance] | None = None

    def vcpus(self, kind: str) -> int:
        """Returns the vCPUs of an instance type.

        Raises:
            TargetError: the region has no such type, or the account may not ask.
        """
        if kind not in self._vcpus:
            self._look_up([kind])
        return self._vcpus[kind]

    def require_accelerator(self, kind: str, gpu: str) -> None:
        """Raises TargetError unless an instance type is of x86-64 and has just this kind of GPU; "none" is one, too."""
        self.vcpus(kind)
        found = self._types[kind]
        names = [str(each["Name"]).lower() for each in found.get("GpuInfo", {}).get("Gpus", ())]
        if "x86_64" not in found.get("ProcessorInfo", {}).get("SupportedArchitectures", ["x86_64"]):
            raise TargetError(f"{kind} is not of x86-64, as the trainers' image is", hint="other trainer_machines")
        if (gpu not in names) if gpu != "none" else names:
            carries = f"GPU {', '.join(names)}" if names else "no GPU"
            raise TargetError(
                f"{kind} has {carries}, and trainer_gpu is {gpu}",
                hint="other trainer_machines, or none: then the usual ones for trainer_gpu",
            )

    def running(self) -> list[Instance]:
        """Returns all instances of the account in the region that count now, whoever started them."""
        if self._running is None:
            states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
            found = [
                Instance(
                    str(each["InstanceType"]),
                    each.get("InstanceLifecycle") == "spot",
                    {tag["Key"]: tag["Value"] for tag in each.get("Tags", ())},
                )
                for reservation in pages(self._ec2, "DescribeInstances", "NextToken", "Reservations", Filters=states)
                for each in reservation["Instances"]
            ]
            self._look_up({each.kind for each in found} - self._vcpus.keys())
            self._running = found
        return self._running

    def used(self, code: str, *, without: str = "") -> int:
        """Returns the vCPUs that run and count for a quota, but for those with the tag cloudlstm = `without`."""
        return sum(
            self.vcpus(each.kind)
            for each in self.running()
            if not (without and each.tags.get("cloudlstm") == without) and _counts(each, code)
        )

    def limit(self, code: str, service: str = "ec2") -> int:
        """Returns the value of a quota; its default where the account has no value of its own."""
        asked = {"ServiceCode": service, "QuotaCode": code}
        try:
            found = retry_unavailable(lambda: self._service.call("GetServiceQuota", **asked))
        except TargetUnavailableError:
            raise
        except TargetError as error:
            if "NoSuchResourceException" not in error.message:
                raise
            found = retry_unavailable(lambda: self._service.call("GetAWSDefaultServiceQuota", **asked))
        return int(found["Quota"]["Value"])

    def of(self, machines: Sequence[Machines], *, without: str = "") -> list[Quota]:
        """Returns the quotas that machines take from, with what runs besides.

        Args:
            machines: The machines that are to run.
            without: Instances with this value of the tag `cloudlstm` are not counted as in use.
        """
        needs: dict[str, list[Need]] = {}
        for each in machines:
            size = self.vcpus(each.kind)
            need = Need(each.what, each.least, each.most, size)
            needs.setdefault(code_of(each.kind, spot=each.spot), []).append(need)
        return [
            self._quota(code, _NAMES[code], "vCPUs", self.used(code, without=without), found)
            for code, found in needs.items()
        ]

    def of_network(self, *, addresses: int) -> list[Quota]:
        """Returns the quotas that one more network takes from, with this number of public addresses."""
        vpcs = sum(1 for _ in pages(self._ec2, "DescribeVpcs", "NextToken", "Vpcs"))
        found = [self._quota("L-F678F1CE", "VPCs per Region", "VPCs", vpcs, [Need("VPCs", 1, 1)], service="vpc")]
        if addresses:
            used = len(self._ec2.call("DescribeAddresses")["Addresses"])
            needs = [Need("NAT gateways", addresses, addresses)]
            found.append(self._quota("L-0263D0A3", "EC2-VPC Elastic IPs", "addresses", used, needs))
        return found

    def _quota(
        self, code: str, title: str, unit: str, used: int, needs: Sequence[Need], *, service: str = "ec2"
    ) -> Quota:
        return Quota(
            code=code,
            title=title,
            unit=unit,
            place=self._region,
            limit=self.limit(code, service),
            used=used,
            needs=tuple(needs),
            ask=(
                f"ask for {{0}}{{1}}: aws service-quotas request-service-quota-increase --region={self._region} "
                f"--service-code={service} --quota-code={code} --desired-value={{0}}"
            ),
        )

    def _look_up(self, kinds: Iterable[str]) -> None:
        wanted = sorted(kinds)
        for start in range(0, len(wanted), _ASKED_AT_ONCE):
            asked = wanted[start : start + _ASKED_AT_ONCE]
            for each in pages(self._ec2, "DescribeInstanceTypes", "NextToken", "InstanceTypes", InstanceTypes=asked):
                self._types[each["InstanceType"]] = each
                self._vcpus[each["InstanceType"]] = int(each["VCpuInfo"]["DefaultVCpus"])


def _counts(instance: Instance, code: str) -> bool:
    family = re.match(r"[a-z]+", instance.kind)
    return any(
        family and family[0] in letters and (spot, found) == (instance.spot, code)
        for letters, spot, found, _ in _CLASSES
    )


def pages(api: AwsApi, action: str, token: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
    """Yields the items of a paginated list."""
    more: dict[str, Any] = dict(arguments)
    while True:
        page = retry_unavailable(lambda: api.call(action, **more))
        yield from page.get(key, ())
        if not page.get(token):
            return
        more[token] = page[token]
