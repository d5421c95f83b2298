"""Training on a trainer group: what its launcher writes before the machines start."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cloudlstm import storage
from cloudlstm.targets.lease import Lease
from cloudlstm.targets.polling import Intervals
from cloudlstm.targets.services import GroupStatus
from cloudlstm.targets.trainer_job import TrainerJob

QUICK = Intervals(first_poll_s=0.0, longest_poll_s=0.0, lease_poll_s=0.01)
HOURS_S = 36_000.0


class Group:
    """An empty trainer group that notes what it is sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def look(self) -> GroupStatus:
        return GroupStatus(0, 4, ())

    def send(self, request: Any) -> None:
        self.sent.append(request)

    def forget_deadline(self) -> None:
        """Does nothing."""


def test_the_time_in_which_another_run_has_the_group_does_not_count(tmp_path: Path) -> None:
    base, run = f"file://{tmp_path}/trainers/group", f"file://{tmp_path}/runs/mine"
    uri, group = f"{base}/assignment.json", Group()

    def request() -> dict[str, Any]:
        document = {"run": run, "attempt": 1, "workers": 1, "opened": "1", "package": {}, "port": 8470}
        deadline = time.time() + HOURS_S
        return {
            "run": run, "workers": 1, "coordinates": base, "fill_timeout_s": 60.0, "scale_out": 1, "scale_in": 0,
            "deadline": deadline, "assignment": {"uri": uri, "document": document | {"deadline": deadline}},
        }  # fmt: skip

    other = Lease(base, f"file://{tmp_path}/runs/other", lambda _: True)
    assert other.take() is None
    job = TrainerJob(request, group, "m5.xlarge", wait=True, intervals=QUICK)  # type: ignore[arg-type]
    while not job.phase.startswith("waiting for the trainer group, in use by run other"):
        job.state()
    began = time.time()
    other.release()
    while 1 not in group.sent:
        job.state()
    assert storage.read_json(uri)["deadline"] >= began + HOURS_S
    assert group.sent[0] == storage.read_json(uri)["deadline"]
    job.cancel()
    assert group.sent[-1] == 0
