"""The resource manager: takes applications from clients, starts their masters, and gives these containers."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localstack.yarn.container import Container
from localstack.yarn.hadoop import HOST, Hadoop
from localstack.yarn.masters import CORES, MEMORY_MIB, MasterService
from localstack.yarn.nodes import Node

MASTER_TOKEN = "YARN_AM_RM_TOKEN"  # noqa: S105 - a kind of token
CLIENT_TOKEN = "RM_DELEGATION_TOKEN"  # noqa: S105

_SCHEDULER = "-Dspark.hadoop.yarn.resourcemanager.scheduler.address="


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
        service: The protocol server of the current attempt.
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
    service: MasterService | None = None
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
            service, master = application.service, application.master
            if application.over or service is None or master is None:
                return
            if service.final:
                self._end(application, "FINISHED", service.final, service.diagnostics)
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
        if application.service:
            application.service.stop()
        application.attempt += 1
        record = application.context.getAMContainerSpec()
        service = MasterService(self.hadoop, self.nodes, application.name, application.attempt)
        application.service = service
        node = self.nodes[0]
        name = f"{application.name.replace('application', 'container')}_{application.attempt:02}_000001"
        limit = int(application.context.getResource().getMemorySize())
        application.master = node.open(name, application.name, limit)
        application.state = "ACCEPTED"
        extra = {"APPLICATION_WEB_PROXY_BASE": f"/proxy/{application.name}"}
        # A cluster's masters find the scheduler in yarn-site.xml; here each attempt has its own.
        setting = f"{_SCHEDULER}{service.address}"
        words = [str(word) for word in record.getCommands()]
        record.setCommands([words[0], setting, *(word for word in words[1:] if not word.startswith(_SCHEDULER))])
        work = (application.master, record, extra, (MASTER_TOKEN, service.address))
        threading.Thread(target=node.start, args=work, daemon=True).start()  # localizing takes time

    def _end(self, application: Application, state: str, final: str, diagnostics: str) -> None:
        application.state, application.final, application.diagnostics = state, final, diagnostics
        application.ended_ms = int(time.time() * 1000)
        for node in self.nodes:
            node.forget(application.name)
        if application.service:
            application.service.stop()
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

    def freeze(self, name: str) -> None:
        """Stops the processes of an application's executors; they neither work nor end."""
        master = self.applications[name].master if name in self.applications else None
        for node in self.nodes if name else ():
            for container in node.of(name):
                if container is not master:
                    container.freeze()

    # ApplicationClientProtocol -----------------------------------------------------------------------------------

    def getNewApplication(self, _request: Any) -> Any:
        number = next(self._numbers)
        identifier = self.hadoop.records.ApplicationId.newInstance(self._since, number)
        name = str(identifier.toString())
        with self._lock:
            self.applications[name] = Application(identifier, name)
        resource = self.hadoop.records.Resource.newInstance
        return self.hadoop.messages.GetNewApplicationResponse.newInstance(
            identifier, resource(1, 1), resource(MEMORY_MIB, CORES)
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
            state = application.state
            if state == "ACCEPTED" and application.service and application.service.registered:
                state = "RUNNING"
            report.setYarnApplicationState(records.YarnApplicationState.valueOf(state))
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
