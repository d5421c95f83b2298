"""What a machine takes of a project's quotas, and the sizes that Google gives: vCPUs, built-in GPUs, images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

REGION = {
    "CPUS": 72, "N2_CPUS": 72, "PREEMPTIBLE_CPUS": 0, "INSTANCES": 2000, "DISKS_TOTAL_GB": 4096, "SSD_TOTAL_GB": 4096,
    "NVIDIA_T4_GPUS": 1, "NVIDIA_L4_GPUS": 1, "PREEMPTIBLE_NVIDIA_T4_GPUS": 1, "PREEMPTIBLE_NVIDIA_L4_GPUS": 1,
}  # fmt: skip
PROJECT = {"CPUS_ALL_REGIONS": 72, "GPUS_ALL_REGIONS": 0, "NETWORKS": 5, "SNAPSHOTS": 1000}
"""The limits of the emulated project: those of one that is in use, but no GPU until the user requests one."""

FRESH = {
    "CPUS": 12, "N2_CPUS": 12, "PREEMPTIBLE_CPUS": 0, "INSTANCES": 24, "DISKS_TOTAL_GB": 2048, "SSD_TOTAL_GB": 250,
    "CPUS_ALL_REGIONS": 12,
}  # fmt: skip
"""Limits of a new project that others have met; Google publishes none."""

_GPUS = {
    "g2": ("nvidia-l4", {4: 1, 8: 1, 12: 1, 16: 1, 32: 1, 24: 2, 48: 4, 96: 8}),
    "a2": ("nvidia-tesla-a100", {12: 1, 24: 2, 48: 4, 96: 8}),
}
_SSD = ("pd-ssd", "pd-balanced")
_IMAGES = {"common-cu": 50, "ubuntu-": 10, "debian-": 10}
"""Family of images to GiB. A Deep Learning VM's message says "cannot be smaller than the image size (50 GB)"."""

DATAPROC_GIB = 30
"""GiB of Dataproc's images since 2.0."""


@dataclass(frozen=True)
class Machine:
    """What a machine consists of.

    Attributes:
        type: Machine type, or a link to one.
        gpus: Attached GPUs by type; those that the type has built in are added.
        disks: Type and GiB of each disk.
        spot: Comes from the spot market.
    """

    type: str
    gpus: tuple[tuple[str, int], ...] = ()
    disks: tuple[tuple[str, int], ...] = ()
    spot: bool = False

    def needs(self, limits: Mapping[str, int]) -> dict[str, int]:
        """What it takes of each quota in `limits`; spot machines take their own quotas where one is granted."""
        needed = {"INSTANCES": 1}

        def take(metric: str, count: int, overall: str = "") -> None:
            own = f"PREEMPTIBLE_{metric}"
            for name in (own if self.spot and limits.get(own, 0) else metric, overall):
                if name in limits:
                    needed[name] = needed.get(name, 0) + count

        family = self.type.rpartition("/")[2].partition("-")[0]
        own = f"{family.upper()}_CPUS"
        take(own if own in limits else "CPUS", vcpus(self.type), "CPUS_ALL_REGIONS")
        for kind, count in (*self.gpus, *built_in(self.type)):
            take(gpu_metric(kind), count, "GPUS_ALL_REGIONS")
        for kind, gib in self.disks:
            name = "SSD_TOTAL_GB" if kind.rpartition("/")[2] in _SSD else "DISKS_TOTAL_GB"
            needed[name] = needed.get(name, 0) + gib
        return needed


def usage(machines: Iterable[Machine], limits: Mapping[str, int]) -> dict[str, int]:
    """What machines take of each quota together."""
    used = dict.fromkeys(limits, 0)
    for machine in machines:
        for metric, count in machine.needs(limits).items():
            if metric in used:
                used[metric] += count
    return used


def vcpus(machine_type: str) -> int:
    """The vCPUs of a machine type; 0 if there is no such type."""
    name = machine_type.rpartition("/")[2]
    if found := re.fullmatch(r"a2-(?:high|ultra)gpu-(\d+)g", name):
        return 12 * int(found[1])
    found = re.fullmatch(r"(?:[a-z]\d[a-z]?)-(?:standard|highmem|highcpu)-(\d+)", name)
    return int(found[1]) if found else 0


def built_in(machine_type: str) -> tuple[tuple[str, int], ...]:
    """The GPUs that a machine type has: at most one kind, with its number."""
    gpu, counts = _GPUS.get(machine_type.rpartition("/")[2].partition("-")[0], ("", {}))
    return ((gpu, counts[vcpus(machine_type)]),) if gpu else ()


def gpu_metric(kind: str) -> str:
    """The regional quota of a GPU type, such as NVIDIA_T4_GPUS of "nvidia-tesla-t4"."""
    return f"{kind.rpartition('/')[2].replace('tesla-', '').replace('-', '_').upper()}_GPUS"


def image_gib(image: str) -> int:
    """The size of an image by its link; 10, the smallest of Google's, if it is not one of those that are known."""
    name = image.rpartition("/")[2]
    return next((gib for begin, gib in _IMAGES.items() if name.startswith(begin)), 10)


def too_small(image: str, gib: int, place: str) -> str:
    """What Compute Engine says of a disk that is smaller than its image; empty if it is not."""
    least = image_gib(image) if image else 0
    if gib >= least:
        return ""
    return (
        f"Invalid value for field '{place}.initializeParams.diskSizeGb': '{gib}'. "
        f"Requested disk size cannot be smaller than the image size ({least} GB)"
    )
