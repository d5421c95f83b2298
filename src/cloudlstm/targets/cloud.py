"""A target on a cloud; the clouds differ only in the services and the account that they implement (services.py).

Job "prepare" is an application on the Spark cluster (spark_job.py), job "train" runs on the trainer group
(trainer_job.py). Placeholders of their requests are filled in when a job starts: `${package.uri}` and the like by the
bundle, which is uploaded then, and `${deadline}`.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from cloudlstm import storage
from cloudlstm.costs.usage import as_json
from cloudlstm.errors import ConfigError, UsageError
from cloudlstm.runs import attempts
from cloudlstm.runs.paths import RunPaths, join
from cloudlstm.targets import clusters, costs, existing, preflight, streams
from cloudlstm.targets.base import JobState, Request, RunningJob, StreamWork, Target, own_packages
from cloudlstm.targets.bundle.package import Bundle
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import INTERVALS, Intervals, SendFirst, retry_unavailable
from cloudlstm.targets.services import Account, MetricStore, Resource, SparkService, TrainerGroup
from cloudlstm.targets.spark_job import OPENED, SparkJob, cancel_driver, matching_applications, work_of_run
from cloudlstm.targets.trainer_job import ASSIGNED, TrainerJob, hours_before, is_assigned, iso
from cloudlstm.text.numbers import counted
from cloudlstm.workers import assignment
from cloudlstm.workers.deadline import prepare_hours

if TYPE_CHECKING:
    from cloudlstm.config import RunConfig

Result = TypeVar("Result")

_PARTS = ("uri", "sha256")
WORKERS = 2
"""Trainers of a run that names no number, if the group may have as many."""
FIGURES_LIMIT_S = 30.0
"""How long figures are tried again. A command that SIGTERM ends sends them too; see cli/schedule_work.py."""


class CloudTarget(Target):
    """A target on a cloud.

    Args:
        config: The target document.
        spark: The Spark service.
        group: The trainer group.
        account: The cloud account.
        wait: Whether to wait while another run holds the trainer group.
        metrics: The service for metrics; None if figures are not to be sent.
        intervals: The pauses between requests.
    """

    def __init__(
        self,
        config: TargetConfig,
        spark: SparkService,
        group: TrainerGroup,
        account: Account,
        *,
        wait: bool = False,
        metrics: MetricStore | None = None,
        intervals: Intervals = INTERVALS,
    ) -> None:
        self.name, self.config, self._wait, self._intervals = config.name, config, wait, intervals
        self._metrics = metrics
        self.root: str | None = root_of(config)
        self.spark, self.group, self._account = spark, group, account
        self.workers = min(WORKERS, config.trainer_max)
        self._bundle = Bundle(
            config.bucket_uri,
            python=config.spark_python,
            architecture=config.spark_architecture,
            accelerator=config.accelerator,
        )

    @property
    def _environment(self) -> dict[str, Any]:
        """Where trainers have Python and packages from: their image, or else the bucket."""
        if self.config.trainer_python:
            return {"trainer_python": self.config.trainer_python}
        return {"wheelhouse": _part("wheelhouse")}

    @property
    def coordinates(self) -> str:
        """URI of the trainer group's lease and assignment."""
        return join(self.config.bucket_uri, "trainers", self.config.trainer_group)

    @property
    def _assignment(self) -> str:
        return join(self.coordinates, "assignment.json")

    def check(self, config: RunConfig, root: str) -> None:
        """Raises the error of the first check that fails for this run."""
        for check in self.checks(config, root).values():
            self._retry(check)

    def _retry(self, work: Callable[[], Result]) -> Result:
        return retry_unavailable(work, intervals=self._intervals)

    def checks(self, config: RunConfig | None, root: str) -> preflight.Checks:
        """Returns the checks before a submit; without `config` those of the target only."""
        workers = (config.train.workers or self.workers) if config else None
        return preflight.checks(self.config, self.spark, self.group, self._account, config, root, workers)

    def list_resources(self) -> list[Resource]:
        """Returns the existing resources of the target, in any state."""
        return existing.resources(self.config, self.spark, self.group, self._account, self._intervals)

    def request(self, job: str, config: RunConfig, paths: RunPaths) -> Request:
        """Returns the request of a job: one to the Spark service, or those that scale the trainer group."""
        preflight.engine(config)
        own = own_packages(config)
        if job == "prepare":
            return {
                "job": job,
                "run": paths.uri,
                "attempt": "${attempt}",
                **own,
                "hours": prepare_hours(config, target=True),
                "rate": as_json(costs.spark_rate(self.config)),
                "submit": self.spark.request(work_of_run(job, config, paths)),
            }
        workers, trainers = config.train.workers or self.workers, config.trainers
        preflight.require_room(workers, self.config.trainer_max, self.config.trainer_group)
        request = {
            "job": job,
            "run": paths.uri,
            **own,
            "workers": workers,
            "rate": as_json(costs.trainer_rate(self.config, workers, trainers.usd_per_hour)),
            "max_usd": trainers.max_usd,
            "usd_per_hour": trainers.usd_per_hour,
            "fill_timeout_s": trainers.fill_timeout_s,
            "hours": min(trainers.max_hours or self.config.max_hours, self.config.max_hours),
            "coordinates": self.coordinates,
            "assignment": {
                "uri": self._assignment,
                "document": {
                    "version": 1,
                    "run": paths.uri,
                    "attempt": "${attempt}",
                    "opened": OPENED,
                    "lease": "${lease}",
                    "workers": workers,
                    "python": self.config.spark_python,
                    "port": self.config.trainer_port,
                    "deadline": "${deadline}",
                    "accelerator": self.config.accelerator,
                    "package": _part("package"),
                    **({"own": _part("own")} if own else {}),
                    "jobs": {"agent": _part("agent"), "train": _part("train")},
                    **self._environment,
                },
            },
            "deadline": self.group.deadline_request("${deadline}"),
            "scale_out": self.group.size_request(workers),
            "scale_in": self.group.size_request(0),
        }
        request = {key: value for key, value in request.items() if value is not None}
        costs.limit(self.config, request, 0.0)  # a limit that no run can keep is found before Spark starts
        return request

    def stream_request(self, work: StreamWork) -> Request:
        """Returns the request of the job "stream", after the checks of `streams`."""
        return streams.request(self.config, self.spark, work)

    def start(self, request: Request) -> RunningJob:
        """Returns the job of a request; the first call of `state` starts it."""
        if (job := request["job"]) != "train":
            run, attempt = request["run"], int(request["attempt"])
            return SparkJob(
                job, run, attempt, lambda: self._submission(request), self.spark, self._intervals,
                hours=request["hours"] or math.inf, send_first=self._send_first if job == "prepare" else None,
                ready=lambda: clusters.wait_until_ready(self.spark, self.config, self._intervals),
            )  # fmt: skip
        described = f"{', '.join(self.config.trainer_machines)} in {', '.join(self.config.trainer_zones)}"
        return TrainerJob(
            lambda: self._with_deadline(request), self.group, described,
            send_first=self._send_first, wait=self._wait, intervals=self._intervals,
        )  # fmt: skip

    @property
    def _send_first(self) -> SendFirst | None:
        """Sends the wheelhouse, before Spark starts: what is wrong with it must not cost a cluster's time."""
        return None if self.config.trainer_python else self._bundle.send_wheelhouse

    def at_work(self, request: Request) -> bool:
        """True if the job of exactly this request, attempt included, is running or has succeeded."""
        if request["job"] == "train":
            wanted = request["assignment"]["document"]
            document = {key: wanted[key] for key in ASSIGNED if key in wanted}  # without what has gigabytes
            compared = dict(request) | {"assignment": request["assignment"] | {"document": document}}
            return is_assigned(self._assigned(compared))
        found = matching_applications(self._submission(request), request["run"], self.spark)
        return any(each.state in (JobState.RUNNING, JobState.DONE) for each in found)

    def send_figures(self, model: str, figures: Mapping[str, float], at: float) -> None:
        """Sends figures of a model to the cloud's service for metrics; tries again while it is unavailable."""
        if (metrics := self._metrics) is not None and figures:
            retry_unavailable(lambda: metrics.put(model, figures, at), FIGURES_LIMIT_S, self._intervals)

    def end(self, run: str | None = None) -> list[str]:
        """Cancels the running jobs of one run or of all runs, no matter who started them; returns what was done."""
        done = []
        for application in self.spark.find(run):
            if application.state is JobState.RUNNING:
                cancel_driver(application)
                self.spark.cancel(application.id)
                done.append(f"cancelled {application.name} ({application.id})")
        found = assignment.find(self._assignment)
        if run is None or (found and found.run == run):
            group = self._retry(self.group.look)
            if group.size or group.machines:
                self._retry(lambda: self.group.send(self.group.size_request(0)))
                done.append(f"set {self.config.trainer_group} from {counted(group.size, 'machine')} to 0")
            storage.delete(self._assignment)
        return done

    def _submission(self, request: Request) -> Request:
        return self._filled(request["submit"], request["run"], int(request["attempt"]), request.get("packages", ()))

    def _assigned(self, request: Request) -> dict[str, Any]:
        """Fills the placeholders of a train request but those of its deadline."""
        attempt, packages = int(request["assignment"]["document"]["attempt"]), request.get("packages", ())
        known = self._filled(request, request["run"], attempt, packages)
        document = known["assignment"]["document"]
        document["attempt"] = int(document["attempt"])
        return known

    def _with_deadline(self, request: Request) -> Request:
        known = self._assigned(request)
        limit = costs.limit(self.config, request, hours_before(known) if "max_usd" in request else 0.0)
        when = int(time.time() + limit.hours * 3600)
        known["assignment"]["document"] |= {"deadline": when, "stop": limit.stop(when)}
        known["deadline"] = self.group.deadline_request(iso(when))
        return known

    def _filled(self, request: Request, run: str, attempt: int, packages: Sequence[str]) -> dict[str, Any]:
        """Fills the attempt's and the bundle's placeholders; uploads parts of the bundle that are missing."""
        opener = attempts.read_owner(RunPaths(run), attempt, 1)
        opened = f"{int(opener.started * 1000):x}" if opener else "0"
        return self._bundle.filled(request, {"opened": opened}, packages)


def root_of(config: TargetConfig) -> str:
    """Returns the root of a target's runs."""
    return join(config.bucket_uri, "runs")


def _part(name: str) -> dict[str, str]:
    return {key: f"${{{name}.{key}}}" for key in _PARTS}


_CLOUDS = {
    "aws": (
        "aws.spark.EmrSpark",
        "aws.trainers.AutoScalingTrainers",
        "aws.account.AwsAccount",
        "aws.metrics.CloudWatch",
    ),
    "gcp": (
        "gcp.spark.DataprocSpark",
        "gcp.trainers.ManagedTrainers",
        "gcp.account.GcpAccount",
        "gcp.metrics.CloudMonitoring",
    ),
}
"""Cloud -> classes of its services, imported when a target is opened; each takes the target document."""


def open_cloud(where: str, *, wait: bool = False, trust_endpoints: bool = False) -> CloudTarget:
    """Opens the target `where`: a Terraform directory, a saved output of it, or a bucket's URI.

    Args:
        where: Name of the target.
        wait: Whether to wait while another run holds the trainer group.
        trust_endpoints: Whether the document may name endpoints on other machines, which get the user's credentials.
    """
    from cloudlstm.targets import document

    config = document.load(where)
    if config.cloud not in _CLOUDS:
        raise ConfigError(f"{where} is a target on {config.cloud}", hint=f"known clouds are {', '.join(_CLOUDS)}")
    if (hosts := config.foreign_hosts()) and not trust_endpoints:
        raise UsageError(
            f"the endpoints of {where} would send your requests and credentials to {', '.join(hosts)}",
            hint="--trust-endpoints if these hosts are yours; the document of a real cloud has no endpoints",
        )
    spark, group, account, metrics = (_create(name, config) for name in _CLOUDS[config.cloud])
    return CloudTarget(config, spark, group, account, wait=wait, metrics=metrics)


def _create(name: str, config: TargetConfig) -> Any:
    module, _, kind = name.rpartition(".")
    return getattr(importlib.import_module(f"cloudlstm.targets.{module}"), kind)(config)
