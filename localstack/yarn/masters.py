"""The protocol of application masters: they register, ask for containers, learn which have ended, and unregister."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localstack.yarn.container import Container
from localstack.yarn.hadoop import HOST, Hadoop
from localstack.yarn.nodes import Node

NODE_TOKEN = "NMToken"  # noqa: S105 - a kind of token
CONTAINER_TOKEN = "ContainerToken"  # noqa: S105

MEMORY_MIB, CORES = 64 << 10, 64
"""What a node has. Only for scheduling: many applications fit at the same time."""


@dataclass
class _Asked:
    """Containers that a master waits for."""

    count: int
    resource: Any
    priority: Any
    request: int


class MasterService:
    """YARN's ApplicationMasterProtocol, for the master of one attempt of an application.

    Args:
        hadoop: The JVM.
        nodes: The node managers.
        application: The application's id.
        attempt: The attempt's number.

    Attributes:
        address: Where it serves.
        registered: True once the master has registered itself.
        final: The final status that the master has told; empty before.
        diagnostics: The reason that it told.
    """

    class Java:
        implements = ("org.apache.hadoop.yarn.api.ApplicationMasterProtocol",)

    def __init__(self, hadoop: Hadoop, nodes: Sequence[Node], application: str, attempt: int) -> None:
        self._hadoop, self._nodes, self._application = hadoop, nodes, application
        self._prefix = f"{application.replace('application', 'container')}_{attempt:02}"
        self._asked: dict[tuple[int, int], _Asked] = {}
        self._running: dict[str, Container] = {}
        self._numbers = itertools.count(2)
        self.registered, self.final, self.diagnostics = False, "", ""
        self._server = hadoop.serve("ApplicationMasterProtocol", self)
        self.address = f"{HOST}:{self._server.getListenerAddress().getPort()}"

    def stop(self) -> None:
        """Ends the server."""
        self._server.stop()

    def registerApplicationMaster(self, _request: Any) -> Any:
        self.registered = True
        answer = self._hadoop.new("protocolrecords.RegisterApplicationMasterResponse")
        answer.setMaximumResourceCapability(self._hadoop.records.Resource.newInstance(MEMORY_MIB, CORES))
        answer.setQueue("default")
        answer.setApplicationACLs({})
        answer.setContainersFromPreviousAttempts([])
        answer.setNMTokensFromPreviousAttempts([])
        return answer

    def finishApplicationMaster(self, request: Any) -> Any:
        self.diagnostics = str(request.getDiagnostics() or "")
        self.final = str(request.getFinalApplicationStatus().toString())
        return self._hadoop.messages.FinishApplicationMasterResponse.newInstance(True)  # noqa: FBT003

    def allocate(self, request: Any) -> Any:
        """Gives every container that is asked for at once: the emulator's nodes are never full."""
        hadoop = self._hadoop
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
        answer.setNumClusterNodes(len(self._nodes))
        answer.setAvailableResources(hadoop.records.Resource.newInstance(MEMORY_MIB, CORES))
        tokens = [
            hadoop.records.NMToken.newInstance(node.id, hadoop.record_token(NODE_TOKEN, node.address))
            for node in (self._nodes if given else ())
        ]
        answer.setNMTokens(tokens)
        return answer

    def _given(self, asked: _Asked) -> Any:
        """Returns a new container."""
        hadoop = self._hadoop
        number = next(self._numbers)
        node = self._nodes[number % len(self._nodes)]
        name = f"{self._prefix}_{number:06}"
        self._running[name] = node.open(name, self._application, int(asked.resource.getMemorySize()))
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
        records = self._hadoop.records
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
