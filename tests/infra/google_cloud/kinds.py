"""The resource types that the fake cloud knows: their ids, what changes in place, what they refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

State = dict[str, Any]
Refer = Callable[[State], list[str | None]]

LINK = "https://www.googleapis.com/compute/v1/"


@dataclass(frozen=True)
class Kind:
    """A resource type.

    Attributes:
        path: Its id, with arguments in braces.
        changeable: The arguments that change in place; a change of any other replaces the resource.
        changing: The attributes that the cloud sets anew with every change.
        refers: Type of another resource to the references in this one; it must exist, and cannot be deleted meanwhile.
    """

    path: str
    changeable: frozenset[str] = frozenset()
    changing: frozenset[str] = frozenset()
    refers: tuple[tuple[str, Refer], ...] = ()


def first(state: State, *path: str) -> State:
    """The block within other blocks, each of which is there at most once; empty if it is missing."""
    for name in path:
        state = (state.get(name) or [{}])[0]
    return state


def _of(name: str) -> Refer:
    return lambda state: [state.get(name)]


_NETWORK = (("google_compute_network", _of("network")),)
_BUCKET = (("google_storage_bucket", _of("bucket")),)
_MEMBER = "{member}"

KINDS = {
    "google_billing_budget": Kind("billingAccounts/{billing_account}/budgets/{display_name}", frozenset({"amount"})),
    "google_cloud_scheduler_job": Kind(
        "projects/{project}/locations/{region}/jobs/{name}",
        frozenset({"description", "http_target", "paused", "retry_config", "schedule", "time_zone"}),
    ),
    "google_compute_firewall": Kind(
        "projects/{project}/global/firewalls/{name}",
        frozenset({"allow", "description", "source_ranges", "source_service_accounts", "target_service_accounts"}),
        refers=_NETWORK,
    ),
    "google_compute_instance_template": Kind(
        "projects/{project}/global/instanceTemplates/{name}",
        refers=(
            (
                "google_compute_subnetwork",
                lambda state: [each.get("subnetwork") for each in state["network_interface"]],
            ),
        ),
    ),
    "google_compute_network": Kind("projects/{project}/global/networks/{name}", frozenset({"routing_mode"})),
    "google_compute_region_instance_group_manager": Kind(
        "projects/{project}/regions/{region}/instanceGroupManagers/{name}",
        frozenset({"version", "update_policy", "target_size", "description", "wait_for_instances"}),
        frozenset({"fingerprint"}),
        (
            (
                "google_compute_instance_template",
                lambda state: [each["instance_template"] for each in state["version"]],
            ),
        ),
    ),
    "google_compute_router": Kind("projects/{project}/regions/{region}/routers/{name}", refers=_NETWORK),
    "google_compute_router_nat": Kind(
        "{project}/{region}/{router}/{name}",
        frozenset({"log_config", "min_ports_per_vm", "subnetwork"}),
        refers=(
            ("google_compute_router", _of("router")),
            ("google_compute_subnetwork", lambda state: [each["name"] for each in state.get("subnetwork") or []]),
        ),
    ),
    "google_compute_subnetwork": Kind(
        "projects/{project}/regions/{region}/subnetworks/{name}",
        frozenset({"private_ip_google_access", "log_config", "description"}),
        refers=_NETWORK,
    ),
    "google_dataproc_autoscaling_policy": Kind(
        "projects/{project}/locations/{location}/autoscalingPolicies/{policy_id}",
        frozenset({"worker_config", "secondary_worker_config", "basic_algorithm"}),
    ),
    "google_dataproc_cluster": Kind(
        "projects/{project}/regions/{region}/clusters/{name}",
        frozenset({"labels", "graceful_decommission_timeout"}),
        refers=(
            (
                "google_dataproc_autoscaling_policy",
                lambda state: [first(state, "cluster_config", "autoscaling_config").get("policy_uri")],
            ),
            (
                "google_compute_subnetwork",
                lambda state: [first(state, "cluster_config", "gce_cluster_config").get("subnetwork")],
            ),
        ),
    ),
    "google_iam_workload_identity_pool": Kind(
        "projects/{project}/locations/global/workloadIdentityPools/{workload_identity_pool_id}",
        frozenset({"description", "disabled", "display_name"}),
    ),
    "google_iam_workload_identity_pool_provider": Kind(
        "projects/{project}/locations/global/workloadIdentityPools/{workload_identity_pool_id}"
        "/providers/{workload_identity_pool_provider_id}",
        frozenset({"attribute_condition", "attribute_mapping", "description", "disabled", "display_name", "oidc"}),
        refers=(("google_iam_workload_identity_pool", _of("workload_identity_pool_id")),),
    ),
    "google_monitoring_alert_policy": Kind(
        "projects/{project}/alertPolicies/{display_name}",
        frozenset({"conditions", "documentation", "enabled", "notification_channels", "severity", "user_labels"}),
        refers=(
            ("google_monitoring_notification_channel", lambda state: list(state.get("notification_channels") or [])),
        ),
    ),
    "google_monitoring_notification_channel": Kind("projects/{project}/notificationChannels/{display_name}"),
    "google_project_iam_custom_role": Kind(
        "projects/{project}/roles/{role_id}", frozenset({"permissions", "title", "description", "stage"})
    ),
    "google_project_iam_member": Kind("{project}/{role}/" + _MEMBER),
    "google_service_account": Kind(
        "projects/{project}/serviceAccounts/{account_id}@{project}.iam.gserviceaccount.com",
        frozenset({"display_name", "description", "disabled"}),
    ),
    "google_service_account_iam_member": Kind(
        "{service_account_id}/{role}/" + _MEMBER, refers=(("google_service_account", _of("service_account_id")),)
    ),
    "google_storage_bucket": Kind(
        "{name}",
        frozenset(
            {
                "force_destroy",
                "labels",
                "lifecycle_rule",
                "versioning",
                "soft_delete_policy",
                "encryption",
                "logging",
                "public_access_prevention",
                "uniform_bucket_level_access",
            }
        ),
    ),
    "google_storage_bucket_iam_member": Kind("b/{bucket}/{role}/" + _MEMBER, refers=_BUCKET),
    "google_storage_bucket_object": Kind(
        "{bucket}-{name}",
        frozenset({"content", "content_type", "metadata", "source", "detect_md5hash"}),
        frozenset({"generation", "md5hash", "md5hexhash", "crc32c", "media_link"}),
    ),
}


def references(kind: str, state: State) -> Iterator[tuple[str, str]]:
    """The resources that this one refers to, as (type, reference): an id, a link or a name."""
    for target, refer in KINDS[kind].refers:
        yield from ((target, reference) for reference in refer(state) if reference)


def means(reference: str, state: State) -> bool:
    """True if this id, link or name is that of the resource."""
    plain = reference.removeprefix(LINK).partition("?")[0]
    return plain in (
        state["id"],
        state.get("name"),
        state.get("policy_id"),
        state.get("email"),
        state.get("workload_identity_pool_id"),
    )
