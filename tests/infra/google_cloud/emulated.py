"""Applies the Google Cloud roots to the fake cloud, and hands what they made over to the emulator, which can run it."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from localstack.gcp.provider import PROJECT, REGION, URL

from infra.google_cloud.kinds import first
from infra.stand_in_provider import GoogleCloud
from infra.terraform_runner import copied, initialized

State = dict[str, Any]


def applied(place: Path, environment: Mapping[str, str], settings: Mapping[str, Any]) -> Path:
    """Applies both roots; buckets, cluster and trainer group are in the emulator afterwards.

    Args:
        place: An empty folder.
        environment: The emulator's environment.
        settings: Variables of the main root besides names and machines.

    Returns:
        The directory of the main root.
    """
    folder = copied(place, "gcp")
    outputs = folder / "outputs.tf"  # on an account there are no endpoints
    url = json.dumps(environment[URL])
    services = ", ".join(f"{service} = {url}" for service in ("compute", "dataproc", "scheduler", "monitoring"))
    text, count = re.subn(r"(\bendpoints +)= \{\}", rf"\1= {{ {services} }}", outputs.read_text())
    if count != 1:
        raise ValueError(f"{outputs} has {count} lines with endpoints")
    outputs.write_text(text)
    names = {"project": PROJECT, "name": "tested"}
    machines = {"trainer_gpu": "none", "trainer_machines": ["n2-standard-4"]}
    for root, variables in ((folder / "storage", names), (folder, {**names, **machines, **settings})):
        (root / "terraform.tfvars.json").write_text(json.dumps(variables))
    with GoogleCloud() as cloud:
        for root in (folder / "storage", folder):
            initialized(root, cloud.environment).run("apply", "-auto-approve")
        hand_over(cloud, environment)
    return folder


def hand_over(cloud: GoogleCloud, environment: Mapping[str, str]) -> None:
    """Makes the applied buckets with their objects, the cluster, the template and the group in the emulator.

    Args:
        cloud: The fake cloud; the project must be the emulator's.
        environment: The emulator's environment.
    """
    url, storage = environment[URL], environment["STORAGE_EMULATOR_HOST"]
    for bucket in cloud.ask("found", "google_storage_bucket"):
        name, versioned = bucket["name"], bool(first(bucket, "versioning").get("enabled"))
        _post(f"{storage}/storage/v1/b?project={PROJECT}", {"name": name, "versioning": {"enabled": versioned}})
        for each in cloud.ask("versions", name):
            place = f"/upload/storage/v1/b/{name}/o?uploadType=media&name={quote(each['name'], safe='')}"
            _send(f"{storage}{place}", each["content"].encode())
    region = f"projects/{PROJECT}/regions/{REGION}"
    for cluster in cloud.ask("found", "google_dataproc_cluster"):
        _post(f"{url}/v1/{region}/clusters", rest_cluster(cluster))
    for template in cloud.ask("found", "google_compute_instance_template"):
        _post(f"{url}/compute/v1/projects/{PROJECT}/global/instanceTemplates", _template(template))
    for group in cloud.ask("found", "google_compute_region_instance_group_manager"):
        _post(f"{url}/compute/v1/{region}/instanceGroupManagers", _group(group))
    for job in cloud.ask("found", "google_cloud_scheduler_job"):
        _post(f"{url}/v1/projects/{PROJECT}/locations/{REGION}/jobs", _job(job))


def _job(state: State) -> State:
    target = first(state, "http_target")
    token = first(target, "oauth_token")
    return {
        "name": f"projects/{PROJECT}/locations/{REGION}/jobs/{state['name']}",
        "schedule": state["schedule"],
        "timeZone": state["time_zone"],
        "httpTarget": {
            "uri": target["uri"],
            "httpMethod": target["http_method"],
            "oauthToken": {"serviceAccountEmail": token["service_account_email"], "scope": token["scope"]},
        },
    }


def rest_cluster(state: State) -> State:
    """The resource Cluster of Dataproc's API that the provider sends for `google_dataproc_cluster`.

    The provider takes a policy's name with "regions" and with "locations" for the same.
    """
    config = first(state, "cluster_config")
    place, software = first(config, "gce_cluster_config"), first(config, "software_config")
    shielded, further = first(place, "shielded_instance_config"), first(config, "preemptible_worker_config")
    policy = first(config, "autoscaling_config")["policy_uri"]
    keys = config.get("encryption_config") or []
    return {
        "clusterName": state["name"],
        "labels": state["labels"],
        "config": {
            "configBucket": config["staging_bucket"],
            "tempBucket": config["temp_bucket"],
            "gceClusterConfig": {
                "subnetworkUri": place["subnetwork"],
                "serviceAccount": place["service_account"],
                "serviceAccountScopes": place["service_account_scopes"],
                "internalIpOnly": place["internal_ip_only"],
                "shieldedInstanceConfig": {
                    "enableSecureBoot": shielded["enable_secure_boot"],
                    "enableVtpm": shielded["enable_vtpm"],
                    "enableIntegrityMonitoring": shielded["enable_integrity_monitoring"],
                },
            },
            "masterConfig": _nodes(first(config, "master_config")),
            "workerConfig": _nodes(first(config, "worker_config")),
            "secondaryWorkerConfig": _nodes(further) | {"preemptibility": further["preemptibility"]},
            "softwareConfig": {
                "imageVersion": software["image_version"],
                "properties": software.get("override_properties") or {},
            },
            "autoscalingConfig": {"policyUri": policy.replace("/regions/", "/locations/")},
            "lifecycleConfig": {"idleDeleteTtl": first(config, "lifecycle_config")["idle_delete_ttl"]},
            "initializationActions": [
                {"executableFile": each["script"], "executionTimeout": f"{each['timeout_sec']}s"}
                for each in config["initialization_action"]
            ],
            **({"encryptionConfig": {"gcePdKmsKeyName": keys[0]["kms_key_name"]}} if keys else {}),
        },
    }


def _nodes(part: State) -> State:
    disk, machine = first(part, "disk_config"), part.get("machine_type")
    return {
        "numInstances": part["num_instances"],
        **({"machineTypeUri": machine} if machine else {}),
        "diskConfig": {"bootDiskType": disk["boot_disk_type"], "bootDiskSizeGb": disk["boot_disk_size_gb"]},
    }


def _template(state: State) -> State:
    scheduling = first(state, "scheduling")
    return {
        "name": state["name"],
        "properties": {
            "machineType": state["machine_type"],
            "labels": state["labels"],
            "disks": [
                {
                    "boot": True,
                    "autoDelete": True,
                    "initializeParams": {
                        "sourceImage": each["source_image"],
                        "diskType": each["disk_type"],
                        "diskSizeGb": str(each["disk_size_gb"]),
                        "labels": each["labels"],
                    },
                }
                for each in state["disk"]
            ],
            "guestAccelerators": [
                {"acceleratorType": each["type"], "acceleratorCount": each["count"]}
                for each in state.get("guest_accelerator") or []
            ],
            "metadata": {"items": [{"key": key, "value": value} for key, value in state["metadata"].items()]},
            "scheduling": {
                "provisioningModel": scheduling["provisioning_model"],
                "preemptible": scheduling["preemptible"],
                "automaticRestart": scheduling["automatic_restart"],
            },
        },
    }


def _group(state: State) -> State:
    template = state["version"][0]["instance_template"].partition("?")[0].rpartition("/")[2]
    return {
        "name": state["name"],
        "baseInstanceName": state["base_instance_name"],
        "targetSize": state["target_size"],
        "distributionPolicy": {
            "targetShape": state["distribution_policy_target_shape"],
            "zones": [{"zone": f"zones/{zone}"} for zone in state["distribution_policy_zones"]],
        },
        "versions": [{"instanceTemplate": f"global/instanceTemplates/{template}"}],
    }


def _post(url: str, document: State) -> None:
    _send(url, json.dumps(document).encode())


def _send(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()
