"""Google Cloud for cloud.py: its storage, the variables that lead to its services, and how a target is made."""

from __future__ import annotations

import json
import secrets
import urllib.request
from collections.abc import Mapping
from typing import Any

from localstack.stores.fake_gcs import fake_gcs, make_gs_bucket
from localstack.target import schedule_of, target_document, user_data

storage = fake_gcs
SERVER_ENVIRONMENT: dict[str, str] = {}

PROJECT, REGION, ZONES = "emulated", "us-central1", ("us-central1-a", "us-central1-b", "us-central1-c")
"""The emulated project, its region and its zones."""

URL = "EMULATOR_SERVICES_URL"
"""The variable with the URL of the services."""

IMAGE = "2.3-debian12"
MACHINE = "n2-standard-4"


def make_target(
    name: str,
    environment: Mapping[str, str],
    trainer_python: str,
    *,
    spot: bool = False,
    schedule: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Makes buckets, cluster, instance template and group; returns the target document and writes it to the bucket.

    Args:
        name: The name of the target and its parts.
        environment: The cloud's environment.
        trainer_python: The interpreter with all packages on the trainers' image; empty if there is none.
        spot: Whether trainers come from the spot market.
        schedule: Time, time zone and models of a schedule; None for none.
    """
    url, storage_url = environment[URL], environment["STORAGE_EMULATOR_HOST"]
    bucket, staging = f"{name}-data", f"{name}-staging"
    for each in (bucket, staging):
        make_gs_bucket(each, storage_url)
    cluster = {
        "clusterName": name,
        "labels": {"cloudlstm": name},
        "config": {
            "configBucket": staging,
            "masterConfig": {"numInstances": 1, "machineTypeUri": MACHINE},
            "workerConfig": {"numInstances": 2, "machineTypeUri": MACHINE},
            "softwareConfig": {"imageVersion": IMAGE},
        },
    }
    particular = {
        "trainer_python": trainer_python,
        "trainer_spot": spot,
        "account": PROJECT,
        "region": REGION,
        "spark_cluster": name,
        "spark_definition": cluster,
        "spark_release": IMAGE,
        "log_uri": f"gs://{staging}/google-cloud-dataproc-metainfo",
        "trainer_zones": list(ZONES[:2]),
        "spark_machine": MACHINE,
        "trainer_machines": [MACHINE],
        "endpoints": dict.fromkeys(("dataproc", "compute", "scheduler", "monitoring"), url),
    }
    if schedule:
        uri = f"gs://{bucket}/target.json"
        particular["schedule"] = schedule_of(schedule, name, trainer_python, MACHINE, uri)
    target = target_document("gcp", name, f"gs://{bucket}", particular)
    region = f"projects/{PROJECT}/regions/{REGION}"
    _post(f"{url}/v1/{region}/clusters", cluster)
    _group(url, target, target["trainer_group"], user_data(target), spot=spot)
    if schedule:
        chosen = target["schedule"]
        _group(url, target, chosen["group"], user_data(target, launcher=True), spot=False)
        _post(f"{url}/v1/projects/{PROJECT}/locations/{REGION}/jobs", scheduler_job(chosen))
    path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name=target.json"
    _post(storage_url + path, target)
    return target


def _group(url: str, target: Mapping[str, Any], name: str, script: str, *, spot: bool) -> None:
    """Makes an instance template and a group of it, of size 0."""
    labels = {"cloudlstm": target["name"]}
    template = {
        "name": name,
        "properties": {
            "machineType": MACHINE,
            "labels": labels,
            "scheduling": {"provisioningModel": "SPOT" if spot else "STANDARD", "preemptible": spot},
            "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"diskSizeGb": "50", "labels": labels}}],
            "metadata": {"items": [{"key": "startup-script", "value": script}]},
        },
    }
    group = {
        "name": name,
        "baseInstanceName": name,
        "targetSize": 0,
        "distributionPolicy": {"zones": [{"zone": f"zones/{zone}"} for zone in target["trainer_zones"]]},
        "versions": [{"instanceTemplate": f"global/instanceTemplates/{name}"}],
    }
    _post(f"{url}/compute/v1/projects/{PROJECT}/global/instanceTemplates", template)
    _post(f"{url}/compute/v1/projects/{PROJECT}/regions/{REGION}/instanceGroupManagers", group)


def scheduler_job(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the job of Cloud Scheduler that gives the launchers' group its machine."""
    group = f"projects/{PROJECT}/regions/{REGION}/instanceGroupManagers/{schedule['group']}"
    return {
        "name": f"projects/{PROJECT}/locations/{REGION}/jobs/{schedule['job']}",
        "schedule": schedule["time"],
        "timeZone": schedule["time_zone"],
        "httpTarget": {
            "uri": f"https://compute.googleapis.com/compute/v1/{group}/resize?size=1",
            "httpMethod": "POST",
            "oauthToken": {"serviceAccountEmail": f"tested-scheduler@{PROJECT}.iam.gserviceaccount.com"},
        },
    }


def _post(url: str, document: Mapping[str, Any]) -> None:
    body = json.dumps(document, indent=1).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()


def url(port: int) -> str:
    """Returns the URL of all services except storage. It has a secret, because SDKs send no credentials there."""
    return f"http://127.0.0.1:{port}/{secrets.token_hex(16)}"


def environment(stored: Mapping[str, str], url: str) -> dict[str, str]:
    """Returns the variables by which SDKs find storage, and two for this package: SDKs have none for other services.

    Args:
        stored: The variables of storage.
        url: The URL of the other services.
    """
    compute = f"{url}/compute/v1/"  # as Terraform's provider has it, and `doctor --before-apply`
    return {**stored, "GOOGLE_CLOUD_PROJECT": PROJECT, URL: url, "GOOGLE_COMPUTE_CUSTOM_ENDPOINT": compute}


def terraform_environment(environment: Mapping[str, str], trainer_python: str) -> dict[str, str]:  # noqa: ARG001
    """Returns nothing: the emulated Google Cloud lacks most services that Terraform's provider calls."""
    return {}
