"""Dataproc's API: clusters and jobs, with the service's errors for invalid requests."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

from google.cloud import dataproc_v1 as sdk  # noqa: TID253 - only the server imports this
from google.protobuf.json_format import ParseError

from localstack.gcp.api import Call, Document, Method, Refusal, page
from localstack.gcp.compute import Compute, now
from localstack.gcp.filters import wants_job
from localstack.gcp.jobs import Cluster, Job, Jobs
from localstack.gcp.provider import PROJECT, REGION, ZONES

_REGION = "/v1/projects/<project>/regions/<region>"
_PAGE = 50
_TYPES = "type.googleapis.com/google.cloud.dataproc.v1"
_CLUSTER = {"@type": f"{_TYPES}.Cluster"}
_KINDS = {
    "mainPythonFileUri": (".py",),
    "pythonFileUris": (".py", ".egg", ".zip"),
    "archiveUris": (".jar", ".tar", ".tar.gz", ".tgz", ".zip"),
    "jarFileUris": (".jar",),
}
_PROPERTIES_ONLY = ("--conf", "--properties", "--deploy-mode", "--py-files", "--archives")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}"), re.compile(r"([a-z0-9][a-z0-9_-]{0,62})?")


class Dataproc:
    """Answers requests about clusters and jobs."""

    def __init__(self, compute: Compute, jobs: Jobs) -> None:
        self._compute, self._jobs = compute, jobs
        self._clusters: dict[str, tuple[Cluster, Document]] = {}

    def methods(self) -> Iterator[Method]:
        def of(action: str, verb: str, url: str, answer: Any) -> Method:
            return Method("dataproc", action, verb, _REGION + url, answer)

        yield of("SubmitJob", "POST", "/jobs:submit", self._submit)
        yield of("ListJobs", "GET", "/jobs", self._list_jobs)
        yield of("GetJob", "GET", "/jobs/<job>", lambda call: _encoded(call, sdk.Job, self._job(call).document))
        yield of("CancelJob", "POST", "/jobs/<job>:cancel", self._cancel)
        yield of("CreateCluster", "POST", "/clusters", self._create)
        yield of("ListClusters", "GET", "/clusters", self._list_clusters)
        yield of("GetCluster", "GET", "/clusters/<cluster>",
                 lambda call: _encoded(call, sdk.Cluster, self._cluster(call, call["cluster"])[1]))  # fmt: skip
        yield of("DeleteCluster", "DELETE", "/clusters/<cluster>", self._delete)
        yield of("StopCluster", "POST", "/clusters/<cluster>:stop", lambda call: self._switch(call, "STOPPED"))
        yield of("StartCluster", "POST", "/clusters/<cluster>:start", lambda call: self._switch(call, "RUNNING"))

    # Jobs --------------------------------------------------------------------------------------------------------

    def _submit(self, call: Call) -> Document:
        _check_place(call)
        if unknown := sorted(call.body.keys() - {"projectId", "region", "job", "requestId"}):
            raise Refusal(400, f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.')
        request = str(call.body.get("requestId", ""))
        if not re.fullmatch(r"[a-zA-Z0-9_-]{0,40}", request):
            raise Refusal(400, f"Invalid request id '{request}'")
        job = _parsed(sdk.Job, call.body.get("job", {}))
        reference = {"projectId": PROJECT, "jobId": uuid.uuid4().hex} | job.get("reference", {})
        if reference["projectId"] != PROJECT:
            raise Refusal(400, "Project ID in the job reference must match the request's project ID")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,100}", reference["jobId"]):
            raise Refusal(400, f"Invalid job id '{reference['jobId']}'")
        for name, value in job.get("labels", {}).items():
            if not (_LABEL[0].fullmatch(name) and _LABEL[1].fullmatch(value)):
                raise Refusal(400, f"Invalid label '{name}: {value}'")
        spark_arguments = _submit_arguments(job)
        cluster, document = self._cluster(call, job.get("placement", {}).get("clusterName", ""))
        if document["status"]["state"] != "RUNNING":
            raise Refusal(
                400,
                f"Unable to submit job, cluster '{cluster.name}' is in state {document['status']['state']} and cannot "
                "accept jobs.",
                "FAILED_PRECONDITION",
            )
        taken = self._jobs.submit(job | {"reference": reference}, spark_arguments, cluster, request)
        return _encoded(call, sdk.Job, taken.document)

    def _job(self, call: Call) -> Job:
        _check_place(call)
        if call["job"] not in self._jobs.all:
            raise Refusal(404, f"Not found: Job {_path('jobs', call['job'])}")
        return self._jobs.all[call["job"]]

    def _list_jobs(self, call: Call) -> Document:
        _check_place(call)
        asked, cluster = call.query.get("filter", ""), call.query.get("clusterName")
        category = {"1": "ACTIVE", "2": "NON_ACTIVE"}.get(matcher := call.query.get("jobStateMatcher", ""), matcher)
        if not asked and category in ("ACTIVE", "NON_ACTIVE"):
            asked = f"status.state = {category}"
        newest_first = [job.document for job in reversed(self._jobs.all.values())]
        wanted = [
            job
            for job in newest_first
            if cluster in (None, "", job["placement"]["clusterName"]) and wants_job(asked, job)
        ]
        found, token = page(wanted, call, "pageSize", _PAGE)
        return _encoded(call, sdk.ListJobsResponse, {"jobs": found} | ({"nextPageToken": token} if token else {}))

    def _cancel(self, call: Call) -> Document:
        job = self._job(call)
        self._jobs.cancel(job.id)
        return _encoded(call, sdk.Job, job.document)

    # Clusters ----------------------------------------------------------------------------------------------------

    def _cluster(self, call: Call, name: str) -> tuple[Cluster, Document]:
        _check_place(call)
        if not name:
            raise Refusal(400, "Cluster name is required")
        if name not in self._clusters:
            raise Refusal(404, f"Not found: Cluster {_path('clusters', name)}")
        return self._clusters[name]

    def _list_clusters(self, call: Call) -> Document:
        _check_place(call)
        wanted = [document for _, document in self._clusters.values()]
        found, token = page(wanted, call, "pageSize", _PAGE)
        answer = {"clusters": found} | ({"nextPageToken": token} if token else {})
        return _encoded(call, sdk.ListClustersResponse, answer)

    def _create(self, call: Call) -> Document:
        """Makes a cluster with its machines; it runs at once."""
        _check_place(call)
        asked = _parsed(sdk.Cluster, call.body)
        name, config = asked["clusterName"], asked["config"]
        if name in self._clusters:
            raise Refusal(409, f"Already exists: Failed to create cluster: Cluster {_path('clusters', name)}")
        labels = asked.get("labels", {}) | {"goog-dataproc-cluster-name": name, "goog-dataproc-location": REGION}
        document = asked | {
            "projectId": PROJECT,
            "clusterUuid": str(uuid.uuid4()),
            "labels": labels,
            "status": {"state": "RUNNING", "stateStartTime": now()},
        }
        master, workers = config.get("masterConfig", {}), config.get("workerConfig", {})
        nodes = [_template(master, labels)] + [_template(workers, labels)] * workers.get("numInstances", 2)
        if short := self._compute.short(nodes):
            raise Refusal(
                400,
                "Multiple validation errors:\n"
                + "\n".join(
                    f" - Insufficient '{metric}' quota. Requested {asked}.0, available {free}.0."
                    for metric, asked, free in short
                ),
            )
        names = [f"{name}-w-{number}" for number in range(workers.get("numInstances", 2))]
        config["masterConfig"] = self._started(master, [f"{name}-m"], labels)
        config["workerConfig"] = self._started(workers, names, labels)
        properties = config.get("softwareConfig", {}).get("properties", {})
        defaults = {key.removeprefix("spark:"): value for key, value in properties.items() if key.startswith("spark:")}
        bucket = config.get("configBucket") or f"dataproc-staging-{REGION}-101"
        cluster = Cluster(name, document["clusterUuid"], bucket, defaults)
        self._clusters[name] = cluster, document
        return _operation("CREATE", _CLUSTER | document)

    def _started(self, shape: Document, names: list[str], labels: Document) -> Document:
        """Starts the machines of a part of a cluster; returns its configuration with their names."""
        template = _template(shape, labels)
        for name in names:
            self._compute.start(name, ZONES[0], template)["status"] = "RUNNING"
        return shape | {"numInstances": len(names), "instanceNames": names}

    def _delete(self, call: Call) -> Document:
        cluster, _ = self._cluster(call, call["cluster"])
        cluster.gone = True
        del self._clusters[cluster.name]
        for machine in list(self._compute.instances.values()):
            if machine["labels"].get("goog-dataproc-cluster-name") == cluster.name:
                self._compute.remove(machine)
        return _operation("DELETE", {"@type": "type.googleapis.com/google.protobuf.Empty"})

    def _switch(self, call: Call, state: str) -> Document:
        cluster, document = self._cluster(call, call["cluster"])
        cluster.gone = state == "STOPPED"
        document["status"] = {"state": state, "stateStartTime": now()}
        return _operation(state, _CLUSTER | document)


def _template(shape: Document, labels: Document) -> Document:
    """Returns the template of a part of a cluster."""
    disk = shape.get("diskConfig", {})
    boot = {"diskSizeGb": disk.get("bootDiskSizeGb", 100), "labels": labels}
    boot["diskType"] = disk.get("bootDiskType", "pd-standard")
    machine_type = shape.get("machineTypeUri", "n2-standard-4").rpartition("/")[2]
    return {"properties": {"machineType": machine_type, "labels": labels, "disks": [{"initializeParams": boot}]}}


def _path(kind: str, name: str) -> str:
    return f"projects/{PROJECT}/regions/{REGION}/{kind}/{name}"


def _check_place(call: Call) -> None:
    if call["project"] != PROJECT:
        raise Refusal(403, f"Permission denied on resource project {call['project']}.")
    if call["region"] != REGION:
        raise Refusal(400, f"Region '{call['region']}' is invalid or unsupported")


def _parsed(message: Any, document: Document) -> Document:
    """Returns the document as the service parses it: enums by name, unknown fields rejected."""
    try:
        parsed = message.from_json(json.dumps(document))
    except ParseError as error:
        raise Refusal(400, f"Invalid JSON payload received. {error}") from None
    return _plain(message, parsed, numbers=False)


def _encoded(call: Call, message: Any, document: Document) -> Document:
    """Returns the answer with enums as names or, if the client wants that, as numbers."""
    if "enum-encoding=int" not in call.query.get("$alt", ""):
        return document
    return _plain(message, message.from_json(json.dumps(document)), numbers=True)


def _plain(message: Any, value: Any, *, numbers: bool) -> Document:
    text = message.to_json(
        value,
        use_integers_for_enums=numbers,
        including_default_value_fields=False,
        preserving_proto_field_name=False,
    )
    plain: Document = json.loads(text)
    return plain


def _operation(kind: str, response: Document) -> Document:
    """Returns a finished long-running operation."""
    return {
        "name": _path("operations", str(uuid.uuid4())),
        "metadata": {"@type": f"{_TYPES}.ClusterOperationMetadata", "operationType": kind},
        "done": True,
        "response": response,
    }


def _submit_arguments(job: Document) -> list[str]:
    """Returns the arguments of spark-submit for a job.

    Raises:
        Refusal: if it is not a PySpark job, or if Dataproc would reject it.
    """
    asked = job.get("pysparkJob")
    if not asked or "mainPythonFileUri" not in asked:
        raise Refusal(400, "The emulator runs jobs of type pysparkJob with a mainPythonFileUri only")
    for name, endings in _KINDS.items():
        uris = asked.get(name, [])
        for uri in [uris] if isinstance(uris, str) else uris:
            if not uri.partition("#")[0].endswith(endings):
                raise Refusal(400, f"Invalid {name} '{uri}': supported file types are {', '.join(endings)}")
    arguments = asked.get("args", [])
    for word in arguments:
        # Dataproc passes these to the program, where they have no effect.
        if word.partition("=")[0] in _PROPERTIES_ONLY:
            raise Refusal(400, f"Invalid argument '{word}': set it by the job's fields and properties")
    main = asked["mainPythonFileUri"]
    spark_arguments = ["--name", asked.get("properties", {}).get("spark.app.name") or main.rpartition("/")[2]]
    options = {"py-files": "pythonFileUris", "archives": "archiveUris", "files": "fileUris", "jars": "jarFileUris"}
    for option, name in options.items():
        if asked.get(name):
            spark_arguments += [f"--{option}", ",".join(asked[name])]
    for name, value in asked.get("properties", {}).items():
        spark_arguments += ["--conf", f"{name}={value}"]
    return [*spark_arguments, main, *arguments]
