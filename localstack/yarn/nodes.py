"""The node managers: they start containers and report their ends."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localstack.yarn.container import Container, Context, LaunchError, Resource
from localstack.yarn.hadoop import HOST, Hadoop


class Node:
    """A node manager: YARN's ContainerManagementProtocol.

    Args:
        hadoop: The JVM.
        folder: A folder for its containers and their logs.
        cache: The folder of localized files.
        environment: The variables of every container.
    """

    class Java:
        implements = ("org.apache.hadoop.yarn.api.ContainerManagementProtocol",)

    def __init__(self, hadoop: Hadoop, folder: Path, cache: Path, environment: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._hadoop, self._folder, self._cache, self._environment = hadoop, folder, cache, environment
        self._lock = threading.Lock()
        self._containers: dict[str, Container] = {}
        self._server = hadoop.serve("ContainerManagementProtocol", self)
        self.port = int(self._server.getListenerAddress().getPort())
        self.address = f"{HOST}:{self.port}"

    @property
    def id(self) -> Any:
        """Its NodeId."""
        return self._hadoop.records.NodeId.newInstance(HOST, self.port)

    def open(self, name: str, application: str, limit_mib: int) -> Container:
        """Reserves a container; it starts when its application asks for it."""
        container = Container(name, application, self._folder, limit_mib)
        with self._lock:
            self._containers[name] = container
        return container

    def start(self, container: Container, record: Any, extra: Mapping[str, str], token: tuple[str, str]) -> None:
        """Starts a container from its ContainerLaunchContext.

        Args:
            container: The container.
            record: The context.
            extra: More variables.
            token: Kind and service of a token that it gets besides those of the context; empty for none.
        """
        try:
            container.prepare()
            given = record.getTokens()
            self._hadoop.write_tokens(container.tokens, bytes(given.array()) if given is not None else b"", *token)
            container.start(_context(record), self._cache, {**self._environment, **extra})
        except (LaunchError, OSError) as error:  # OSError also if its application has ended meanwhile
            container.fail(str(error))

    def of(self, application: str) -> list[Container]:
        """Returns the containers of an application, in the order of their ids."""
        with self._lock:
            found = [each for each in self._containers.values() if each.application == application]
        return sorted(found, key=lambda each: each.name)

    def forget(self, application: str) -> None:
        """Ends and deletes the containers of an application."""
        for each in self.of(application):
            each.remove()
            with self._lock:
                del self._containers[each.name]

    # ContainerManagementProtocol ---------------------------------------------------------------------------------

    def startContainers(self, request: Any) -> Any:
        started: list[Any] = []
        for each in request.getStartContainerRequests():
            name = self._hadoop.label_of(each.getContainerToken())
            with self._lock:
                container = self._containers.get(name)
            if container is None:
                continue
            self.start(container, each.getContainerLaunchContext(), {}, ("", ""))
            started.append(self._hadoop.yarn.api.records.ContainerId.fromString(name))
        return self._hadoop.messages.StartContainersResponse.newInstance({}, started, {})

    def stopContainers(self, request: Any) -> Any:
        stopped = list(request.getContainerIds())
        for each in stopped:
            with self._lock:
                container = self._containers.get(str(each.toString()))
            if container:
                container.kill()
        return self._hadoop.messages.StopContainersResponse.newInstance(stopped, {})

    def getContainerStatuses(self, _request: Any) -> Any:
        return self._hadoop.messages.GetContainerStatusesResponse.newInstance([], {})


def _context(record: Any) -> Context:
    resources = {}
    for link, each in dict(record.getLocalResources()).items():
        url = each.getResource()
        path = Path(str(url.toPath().toUri().getPath()))
        resources[str(link)] = Resource(path, str(each.getType().toString()) == "ARCHIVE", int(each.getTimestamp()))
    environment = {str(name): str(value) for name, value in dict(record.getEnvironment()).items()}
    return Context(environment, [str(word) for word in record.getCommands()], resources)
