"""The alarms of the Terraform roots on a running service: only they are applied, which takes seconds."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.stand_in_provider import GoogleCloud
from infra.terraform_runner import copied, initialized
from targets.scheduled_days import ScheduledDays

Post = Callable[[str, dict[str, Any]], Mapping[str, Any]]
"""Kind of a resource, such as "alertPolicies", and its document -> the resource as it was made."""

_AWS = ("sns_topic_policy.alarms", "sns_topic_subscription.alarms", "cloudwatch_metric_alarm.absent",
        "cloudwatch_metric_alarm.warning")  # fmt: skip
_GOOGLE = ("notification_channel.alarms", "alert_policy.absent", "alert_policy.warning")


MAIL = "team@example.org"


def apply_alarms(days: ScheduledDays, place: Path, schedule: Mapping[str, Any]) -> None:
    """Applies the alarms of the root of a target's cloud on the emulator of that cloud; they mail to MAIL.

    Args:
        days: The days of the target.
        place: An empty folder.
        schedule: The variable `schedule` of the root.
    """
    settings = {"name": days.document["name"], "schedule": dict(schedule), "alarms": {"emails": [MAIL]}}
    if days.config.cloud == "aws":
        apply_on_aws(place, days.cloud.setup_environment, settings | {"region": days.config.region})
    else:
        url = f"{days.document['endpoints']['monitoring']}/v3/projects/{days.config.account}"
        apply_on_google(place, lambda *each: _post(url, *each), settings | {"project": "my-project"})


def subjects(days: ScheduledDays, alarm: str, *states: str) -> list[str]:
    """The subjects of the mails of an alarm whose state begins in one of these ways, such as ALARM and ALERT."""
    mails = days.cloud.control.state()["mails"]
    assert {each["to"] for each in mails} <= {MAIL}
    found = [each["subject"].lstrip("[") for each in mails if alarm in each["subject"]]
    return [each for each in found if not states or each.upper().startswith(states)]


BEGINS, ENDS = ("AL",), ("OK", "RESOLVED")
"""How the subject of a mail says that an alarm begins, and that it ends, on both clouds."""


def _post(url: str, kind: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a resource by the API of the emulator."""
    request = urllib.request.Request(
        f"{url}/{kind}", json.dumps(document).encode(), {"Content-Type": "application/json"}
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=30) as answer:
        made: dict[str, Any] = json.load(answer)
    return made


def apply_on_aws(place: Path, environment: Mapping[str, str], settings: Mapping[str, Any]) -> None:
    """Applies the alarms of the root for AWS.

    Args:
        place: An empty folder.
        environment: Endpoint and credentials of the account.
        settings: Variables of the root: name, region, schedule, alarms.
    """
    folder = copied(place)
    (folder / "terraform.tfvars.json").write_text(json.dumps(dict(settings) | {"bucket": "any"}))
    words = (f"-target=aws_{each}" for each in _AWS)
    initialized(folder, environment).run("apply", "-auto-approve", *words)


def apply_on_google(place: Path, post: Post, settings: Mapping[str, Any]) -> None:
    """Applies the alarms of the root for Google Cloud on the fake cloud, and makes them anew by the service's own API.

    Args:
        place: An empty folder.
        post: Makes a resource.
        settings: Variables of the root: project, name, schedule, alarms.
    """
    folder = copied(place, "gcp")
    (folder / "terraform.tfvars.json").write_text(json.dumps(dict(settings)))
    with GoogleCloud() as cloud:
        words = (f"-target=google_monitoring_{each}" for each in _GOOGLE)
        initialized(folder, cloud.environment).run("apply", "-auto-approve", *words)
        channels, policies = (
            cloud.ask("found", f"google_monitoring_{kind}") for kind in ("notification_channel", "alert_policy")
        )
    names = {
        each["name"]: post("notificationChannels", {"type": each["type"], "labels": each["labels"]})["name"]
        for each in channels
    }
    for each in policies:
        post("alertPolicies", _policy(each, names))


def _policy(state: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A policy as the service takes it, of one as Terraform's provider writes it."""
    (condition,) = state["conditions"]
    (query,) = condition["condition_prometheus_query_language"]
    return {
        "displayName": state["display_name"],
        "combiner": state["combiner"],
        "notificationChannels": [names[name] for name in state["notification_channels"] or ()],
        "conditions": [{
            "displayName": condition["display_name"],
            "conditionPrometheusQueryLanguage": {
                "query": query["query"],
                "duration": query["duration"],
                "evaluationInterval": query["evaluation_interval"],
                "disableMetricValidation": query["disable_metric_validation"],
            },
        }],
    }  # fmt: skip
