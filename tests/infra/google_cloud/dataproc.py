"""Dataproc: what it refuses of clusters, and what breaks them while they start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from localstack.gcp import quotas

from infra.google_cloud import access
from infra.google_cloud.kinds import first, means
from infra.google_cloud.provider import Refused

if TYPE_CHECKING:
    from infra.google_cloud.world import World

State = dict[str, Any]

_PARTS = ("master_config", "worker_config", "preemptible_worker_config")


def machines(clusters: Iterable[State]) -> list[quotas.Machine]:
    """All machines of clusters."""
    found = []
    for cluster in clusters:
        config = first(cluster, "cluster_config")
        for part in _PARTS:
            of = first(config, part)
            disk = first(of, "disk_config")
            machine = quotas.Machine(
                of.get("machine_type") or first(config, "worker_config")["machine_type"],
                disks=((disk.get("boot_disk_type") or "pd-standard", int(disk.get("boot_disk_size_gb") or 500)),),
                spot=of.get("preemptibility") == "SPOT",
            )
            found += [machine] * int(of.get("num_instances") or 0)
    return found


def check(world: World, cluster: State) -> None:
    """Raises Refused if Dataproc does not begin to make the cluster."""
    config = first(cluster, "cluster_config")
    account = first(config, "gce_cluster_config").get("service_account")
    if not any(each["email"] == account for each in world.found("google_service_account")):
        raise _invalid(f"Service account '{account}' does not exist")
    subnet = _subnet(world, config)
    if first(config, "gce_cluster_config").get("internal_ip_only") and not subnet.get("private_ip_google_access"):
        raise _invalid(
            f"Subnetwork '{subnet['name']}' does not support Private Google Access which is required for clusters when "
            "'internal_ip_only' is set to 'true'"
        )
    for part in _PARTS:
        gib = first(config, part, "disk_config").get("boot_disk_size_gb")
        if gib and gib < quotas.DATAPROC_GIB:
            raise _invalid(f"Boot disk size in GB must be at least {quotas.DATAPROC_GIB}: {part} has {gib}")
    for bucket in (config.get("staging_bucket"), config.get("temp_bucket")):
        if bucket and bucket not in world.resources["google_storage_bucket"]:
            raise _invalid(f"Google Cloud Storage bucket does not exist '{bucket}'")
    for action in config.get("initialization_action") or []:
        bucket, _, name = action["script"].removeprefix("gs://").partition("/")
        if not any(each["name"] == name and each["current"] for each in world.versions(bucket)):
            raise _invalid(f"Google Cloud Storage object does not exist '{action['script']}'")
    seconds = float((first(config, "lifecycle_config").get("idle_delete_ttl") or "3600s").removesuffix("s"))
    if not 300 <= seconds <= 14 * 86400:
        raise _invalid(f"idle_delete_ttl must be between 5 minutes and 14 days: {seconds} s")
    used = quotas.usage(world.machines(), world.limits)
    wanted = quotas.usage(machines([cluster]), world.limits)
    short = [
        f"Insufficient '{metric}' quota. Requested {count}.0, available {world.limits[metric] - used[metric]}.0."
        for metric, count in wanted.items()
        if count > max(world.limits[metric] - used[metric], 0)
    ]
    if short:
        raise _invalid("\n - ".join(["Multiple validation errors:", *short]) if len(short) > 1 else short[0])


def trouble(world: World, cluster: State) -> str:
    """Why a cluster ends in ERROR while it starts; empty if it runs."""
    config = first(cluster, "cluster_config")
    account = first(config, "gce_cluster_config")["service_account"]
    lacks = [
        f"'{permission}' on the project" for permission in sorted(access.NODE) if not world.may(account, permission)
    ]
    for bucket in filter(None, (config.get("staging_bucket"), config.get("temp_bucket"))):
        lacks += [
            f"'storage.{each}' on bucket {bucket}"
            for each in ("buckets.get", "objects.create", "objects.get", "objects.list")
            if not world.may(account, f"storage.{each}", bucket, "google-cloud-dataproc-metainfo/x")
        ]
    for action in config.get("initialization_action") or []:
        bucket, _, name = action["script"].removeprefix("gs://").partition("/")
        if not world.may(account, "storage.objects.get", bucket, name):
            lacks.append(f"'storage.objects.get' on {action['script']}")
    if lacks:
        return _error(cluster, f"{account} does not have {'; '.join(lacks)}")
    if closed := sorted({"icmp", "tcp", "udp"} - _open(world, _subnet(world, config), account)):
        return _error(cluster, f"nodes cannot reach one another by {', '.join(closed)}: no firewall rule lets them")
    for kind, grant in access.grants(world.resources, f"serviceAccount:{account}"):
        if (age := world.age(kind, grant)) < world.propagation_s:
            return _error(
                cluster,
                f"Failed to create event log dir: {account} does not have storage.objects access (403): "
                f"{grant['role']} was granted {age:.0f} s ago",
            )
    return ""


def _subnet(world: World, config: State) -> State:
    """The subnet of a cluster."""
    reference = first(config, "gce_cluster_config")["subnetwork"]
    return next(each for each in world.found("google_compute_subnetwork") if means(reference, each))


def _open(world: World, subnet: State, account: str) -> set[str]:
    """The protocols by which machines of an account reach one another in a subnet."""
    (network,) = (each for each in world.found("google_compute_network") if means(subnet["network"], each))
    return {
        allowed["protocol"]
        for rule in world.found("google_compute_firewall")
        if means(rule["network"], network)
        and account in (rule.get("target_service_accounts") or [account])
        and (
            account in (rule.get("source_service_accounts") or [])
            or subnet.get("ip_cidr_range") in (rule.get("source_ranges") or [])
        )
        for allowed in rule.get("allow") or []
    }


def _error(cluster: State, why: str) -> str:
    return f"Error waiting for creating Dataproc cluster: {why}. Cluster {cluster['name']} is in state ERROR."


def _invalid(why: str) -> Refused:
    return Refused(f"Error creating Dataproc cluster: googleapi: Error 400: {why}, badRequest")
