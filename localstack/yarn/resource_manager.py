"""The resource manager: takes applications from clients, starts their masters, and gives these containers."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from localstack.yarn.container import Container
from localstack.yarn.hadoop import HOST, Hadoop
from localstack.yarn.nodes import Node

MASTER_TOKEN = "YARN_AM_RM_TOKEN"  # noqa: S105 - a kind of token
CLIENT_TOKEN = "RM_DELEGATION_TOKEN"  # noqa: S105
NODE_TOKEN = "NMToken"  # noqa: S105
CONTAINER_TOKEN = "ContainerToken"  # noqa: S105

_SCHEDULER = "-Dspark.hadoop.yarn.resourcemanager.scheduler.address="

_MEMORY_MIB, _CORES = 64 << 10, 64
"""What a node has. Only for scheduling: many applications fit at the same time."""


@dataclass
class Application:
    """An application.

    Attributes:
        id: Its ApplicationId.
        name: The same as text.
        context: What the client submitted; None before.
        state: Its YarnApplicationState.
        final: Its FinalApplicationStatus.
        diagnostics: Why it ended.
        attempt: The number of the current attempt.
        master: The container of the current attempt's master.
        masters: The protocol server of the current attempt.
        began_ms: When it was submitted.
        ended_ms: When it ended; 0 before.
        tags: Its tags.
    """

    id: Any
    name: str
    context: Any = None
    state: str = "NEW"
    final: str = "UNDEFINED"
    diagnostics: str = ""
    attempt: int = 0
    master: Container | None = None
    masters: Masters | None = None
    began_ms: int = 0
    ended_ms: int = 0
    tags: frozenset[str] = frozenset()

    @property
    def over(self) -> bool:
        return self.state in ("FINISHED", "FAILED", "KILLED")


class ResourceManager:
    """YARN's ApplicationClientProtocol, and the applications.

    Args:
        hadoop: The JVM.
        nodes: The node managers.
        port: The port for clients.
    """

    class Java:
        implements = ("org.apache.hadoop.yarn.api.ApplicationClientProtocol",)

    def __init__(self, hadoop: Hadoop, nodes: Sequence[Node], port: int) -> None:
        self.hadoop, self.nodes = hadoop, nodes
        self._since = int(time.time() * 1000)
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self.applications: dict[str, Application] = {}
        self._server = hadoop.serve("ApplicationClientProtocol", self, port)
        self.address = f"{HOST}:{port}"

    def tick(self) -> None:
        """Notices ended masters and containers that use too much memory."""
        with self._lock:
            active = [each for each in self.applications.values() if each.master and not each.over]
        for application in active:
            for node in self.nodes:
                for container in node.of(application.name):
                    container.check_memory()
            if application.master and (status := application.master.status()) is not None:
                self._after_master(application, status)

    def _after_master(self, application: Application, status: int) -> None:
        """Ends an application whose master has ended, or starts its next attempt."""
        with self._lock:
            masters, master = application.masters, application.master
            if application.over or masters is None or master is None:
                return
            if masters.unregistered:
                self._end(application, "FINISHED", application.final, application.diagnostics)
                return
            attempt = f"{application.name.replace('application', 'appattempt')}_{application.attempt:06}"
            why = (
                f"AM Container for {attempt} exited with  exitCode: {status}\nFailing this attempt."
                f"Diagnostics: {master.diagnostics}"
            )
            most = int(application.context.getMaxAppAttempts()) or 2
            if application.attempt < most:
                self._begin_attempt(application)
                return
            why = f"Application {application.name} failed {application.attempt} times due to {why}"
            self._end(application, "FAILED", "FAILED", f"{why}. Failing the application.")

    def _begin_attempt(self, application: Application) -> None:
        if application.masters:
            application.masters.stop()
        application.attempt += 1
        record = application.context.getAMContainerSpec()
        masters = application.masters = Masters(self, application)
        node = self.nodes[0]
        name = f"{application.name.replace('application', 'container')}_{application.attempt:02}_000001"
        limit = int(application.context.getResource().getMemorySize())
        application.master = node.open(name, application.name, limit)
        application.state = "ACCEPTED"
        extra = {"APPLICATION_WEB_PROXY_BASE": f"/proxy/{application.name}"}
        # A cluster's masters find the scheduler in yarn-site.xml; here each attempt has its own.
        setting = f"{_SCHEDULER}{masters.address}"
        words = [str(word) for word in record.getCommands()]
        record.setCommands([words[0], setting, *(word for word in words[1:] if not word.startswith(_SCHEDULER))])
        work = (application.master, record, extra, (MASTER_TOKEN, masters.address))
        threading.Thread(target=node.start, args=work, daemon=True).start()  # localizing takes time

    def _end(self, application: Application, state: str, final: str, diagnostics: str) -> None:
        application.state, application.final, application.diagnostics = state, final, diagnostics
        application.ended_ms = int(time.time() * 1000)
        for node in self.nodes:
            node.forget(application.name)
        if application.masters:
            application.masters.stop()
        if application.context:  # YARN leaves it after a kill
            staging = dict(application.context.getAMContainerSpec().getEnvironment()).get("SPARK_YARN_STAGING_DIR", "")
            if staging:
                shutil.rmtree(str(staging).removeprefix("file:"), ignore_errors=True)

    def tagged(self, tag: str) -> str:
        """Returns the id of the application with this tag; empty if there is none."""
        with self._lock:
            return next((name for name, each in self.applications.items() if tag in each.tags), "")

    def running(self, name: str) -> bool:
        """True if the application has been submitted and has not ended."""
        with self._lock:
            application = self.applications.get(name)
            return application is not None and application.context is not None and not application.over

    def kill(self, name: str) -> None:
        """Kills an application; does nothing if there is none or it has ended."""
        with self._lock:
            application = self.applications.get(name)
            if application and not application.over:
                self._end(application, "KILLED", "KILLED", "Application killed by user.")

    # ApplicationClientProtocol -----------------------------------------------------------------------------------

    def getNewApplication(self, _request: Any) -> Any:
        number = next(self._numbers)
        identifier = self.hadoop.records.ApplicationId.newInstance(self._since, number)
        name = str(identifier.toString())
        with self._lock:
            self.applications[name] = Application(identifier, name)
        resource = self.hadoop.records.Resource.newInstance
        return self.hadoop.messages.GetNewApplicationResponse.newInstance(
            identifier, resource(1, 1), resource(_MEMORY_MIB, _CORES)
        )

    def submitApplication(self, request: Any) -> Any:
        context = request.getApplicationSubmissionContext()
        with self._lock:
            application = self.applications[str(context.getApplicationId().toString())]
            application.context, application.began_ms = context, int(time.time() * 1000)
            application.tags = frozenset(str(tag) for tag in context.getApplicationTags())
            self._begin_attempt(application)
        return self.hadoop.new("protocolrecords.SubmitApplicationResponse")

    def getApplicationReport(self, request: Any) -> Any:
        records = self.hadoop.records
        with self._lock:
            application = self.applications[str(request.getApplicationId().toString())]
            report = self.hadoop.new("records.ApplicationReport")
            report.setApplicationId(application.id)
            attempt = records.ApplicationAttemptId.newInstance(application.id, application.attempt)
            report.setCurrentApplicationAttemptId(attempt)
            report.setUser("hadoop")
            report.setQueue("default")
            report.setName(str(application.context.getApplicationName()) if application.context else "")
            report.setHost(HOST)
            report.setRpcPort(-1)
            report.setYarnApplicationState(records.YarnApplicationState.valueOf(application.state))
            report.setFinalApplicationStatus(records.FinalApplicationStatus.valueOf(application.final))
            report.setDiagnostics(application.diagnostics)
            report.setTrackingUrl(f"http://{HOST}:8088/proxy/{application.name}/")
            report.setStartTime(application.began_ms)
            report.setFinishTime(application.ended_ms)
            report.setApplicationType("SPARK")
        return self.hadoop.messages.GetApplicationReportResponse.newInstance(report)

    def forceKillApplication(self, request: Any) -> Any:
        self.kill(str(request.getApplicationId().toString()))
        return self.hadoop.messages.KillApplicationResponse.newInstance(True)  # noqa: FBT003

    def getClusterMetrics(self, _request: Any) -> Any:
        metrics = self.hadoop.records.YarnClusterMetrics.newInstance(len(self.nodes))
        return self.hadoop.messages.GetClusterMetricsResponse.newInstance(metrics)


@dataclass
class _Asked:
    """Containers that a master waits for."""

    count: int
    resource: Any
    priority: Any
    request: int


@dataclass
class Masters:
    """YARN's ApplicationMasterProtocol for the master of one attempt."""

    manager: ResourceManager
    application: Application
    unregistered: bool = False
    address: str = ""
    _asked: dict[tuple[int, int], _Asked] = field(default_factory=dict)
    _running: dict[str, Container] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(2))
    _answers: Any = field(default_factory=lambda: itertools.count(1))

    class Java:
        implements = ("org.apache.hadoop.yarn.api.ApplicationMasterProtocol",)

    def __post_init__(self) -> None:
        self._server = self.manager.hadoop.serve("ApplicationMasterProtocol", self)
        self.address = f"{HOST}:{self._server.getListenerAddress().getPort()}"

    def stop(self) -> None:
        """Ends the server."""
        self._server.stop()

    def registerApplicationMaster(self, _request: Any) -> Any:
        self.application.state = "RUNNING"
        answer = self.manager.hadoop.new("protocolrecords.RegisterApplicationMasterResponse")
        answer.setMaximumResourceCapability(self.manager.hadoop.records.Resource.newInstance(_MEMORY_MIB, _CORES))
        answer.setQueue("default")
        answer.setApplicationACLs({})
        answer.setContainersFromPreviousAttempts([])
        answer.setNMTokensFromPreviousAttempts([])
        return answer

    def finishApplicationMaster(self, request: Any) -> Any:
        self.application.final = str(request.getFinalApplicationStatus().toString())
        self.application.diagnostics = str(request.getDiagnostics() or "")
        self.unregistered = True
        return self.manager.hadoop.messages.FinishApplicationMasterResponse.newInstance(True)  # noqa: FBT003

    def allocate(self, request: Any) -> Any:
        hadoop = self.manager.hadoop
        for each in request.getAskList() or ():
            if str(each.getResourceName()) == "*":
                key = (int(each.getPriority().getPriority()), int(each.getAllocationRequestId()))
                self._asked[key] = _Asked(
                    int(each.getNumContainers()), each.getCapability(), each.getPriority(), key[1]
                )
        given = [self._given(asked) for asked in self._asked.values() for _ in range(asked.count)]
        for asked in self._asked.values():
            asked.count = 0
        for identifier in request.getReleaseList() or ():
            if container := self._running.get(str(identifier.toString())):
                container.kill(-100)
        answer = hadoop.new("protocolrecords.AllocateResponse")
        answer.setResponseId(int(request.getResponseId()) + 1)
        answer.setAllocatedContainers(given)
        answer.setCompletedContainersStatuses(self._completed())
        answer.setUpdatedNodes([])
        answer.setNumClusterNodes(len(self.manager.nodes))
        answer.setAvailableResources(hadoop.records.Resource.newInstance(_MEMORY_MIB, _CORES))
        tokens = [
            hadoop.records.NMToken.newInstance(node.id, hadoop.record_token(NODE_TOKEN, node.address))
            for node in (self.manager.nodes if given else ())
        ]
        answer.setNMTokens(tokens)
        return answer

    def _given(self, asked: _Asked) -> Any:
        """Returns a new container."""
        hadoop, application = self.manager.hadoop, self.application
        number = next(self._numbers)
        node = self.manager.nodes[number % len(self.manager.nodes)]
        name = f"{application.name.replace('application', 'container')}_{application.attempt:02}_{number:06}"
        self._running[name] = node.open(name, application.name, int(asked.resource.getMemorySize()))
        container = hadoop.records.Container.newInstance(
            hadoop.records.ContainerId.fromString(name),
            node.id,
            node.address,
            asked.resource,
            asked.priority,
            hadoop.record_token(CONTAINER_TOKEN, node.address, name),
        )
        container.setAllocationRequestId(asked.request)
        return container

    def _completed(self) -> list[Any]:
        """Returns the statuses of the containers that have ended since the last answer."""
        records = self.manager.hadoop.records
        ended = {name: each for name, each in self._running.items() if each.status() is not None}
        for name in ended:
            del self._running[name]
        complete = records.ContainerState.COMPLETE
        return [
            records.ContainerStatus.newInstance(
                records.ContainerId.fromString(name), complete, each.diagnostics, each.status()
            )
            for name, each in ended.items()
        ]
