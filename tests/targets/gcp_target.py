"""Reads the state of a target from the Google Cloud APIs."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cloudlstm import storage
from cloudlstm.errors import ObjectNotFoundError
from targets.fake_clouds import Step, Target

_STATES = {"PENDING": "waiting", "SETUP_DONE": "waiting", "ERROR": "failed", "CANCEL_STARTED": "cancel_pending"}


class GCPTarget(Target):
    """A target on the emulated Google Cloud."""

    group_service = "compute"
    troubles = (
        {"kind": "throttled", "service": "dataproc", "action": "GetJob", "times": 6},
        {"kind": "api-error", "service": "dataproc", "action": "SubmitJob", "times": 3},
        {"kind": "api-error", "service": "compute", "times": 6},
    )
    failure = "ERROR: Job failed with message [{} {}]."
    launch_error = "does not have enough resources available"

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer of the API at a path below the project and the region."""
        service, base = ("compute", "compute/v1") if path.startswith("instanceGroup") else ("dataproc", "v1")
        place = f"projects/{self.document['account']}/regions/{self.document['region']}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.document['endpoints'][service]}/{base}/{place}/{path}",
            data,
            {"Content-Type": "application/json"},
            method="GET" if body is None else "POST",
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def written(self, prefix: str) -> dict[str, Any]:
        return {item.uri: item.etag for item in storage.list_objects(f"{self.bucket}/{prefix}")}

    def steps(self, run: str) -> Sequence[Step]:
        jobs = self.ask(f"jobs?clusterName={self.document['spark_cluster']}").get("jobs", [])
        jobs.sort(key=lambda job: [*job.get("statusHistory", []), job["status"]][0]["stateStartTime"])
        return [
            Step(job["reference"]["jobId"], _name(job), _STATES.get(state := job["status"]["state"], state.lower()))
            for job in jobs
            if job["pysparkJob"]["args"][-1] == run
        ]

    def event_logs(self, step: Step) -> Iterator[Path]:
        folder = self.cloud.folder / "gcp" / "clusters" / self.document["spark_cluster"] / step.id / "events"
        return (path for path in folder.iterdir() if path.is_file())

    @property
    def group_size(self) -> int:
        return int(self.ask(self._group).get("targetSize", 0))

    def resize(self, size: int) -> None:
        self.ask(f"{self._group}/resize?size={size}", {})

    @property
    def deadlines(self) -> Sequence[str]:
        """The deadline in the assignment, which the machines keep."""
        try:
            when = float(storage.read_json(self._assignment)["deadline"])
        except ObjectNotFoundError:
            return []
        return [datetime.fromtimestamp(when, UTC).isoformat()]

    def let_deadline_pass(self) -> None:
        """Makes each machine leave by the request of its timer; later machines find an old assignment."""
        document = storage.read_json(self._assignment)
        storage.write_json(self._assignment, document | {"deadline": time.time() - 1})
        machines = self.ask(f"{self._group}/listManagedInstances", {}).get("managedInstances", [])
        self.ask(f"{self._group}/deleteInstances", {"instances": [each["instance"] for each in machines]})

    @property
    def _group(self) -> str:
        return f"instanceGroupManagers/{self.document['trainer_group']}"

    @property
    def _assignment(self) -> str:
        return f"{self.bucket}/trainers/{self.document['trainer_group']}/assignment.json"


def _name(job: dict[str, Any]) -> str:
    return " ".join(["cloudlstm", job["labels"]["cloudlstm-run"], *job["labels"]["cloudlstm-job"].rsplit("-", 1)])
