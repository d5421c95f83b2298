"""A JVM with Hadoop's own records, tokens and RPC servers, which Python code answers.

Spark brings Hadoop's classes for clients. They hold all that a daemon needs except its logic: the records, the protocol
buffers and the servers. Py4J lets Python objects implement the protocols.
"""

from __future__ import annotations

import importlib
import secrets
import time
from collections import deque
from pathlib import Path
from typing import Any

from localstack.processes import START_S, Process, tail

HOST = "127.0.0.1"

_ANSWERS = 1000
"""Answers that stay alive; more than are sent at the same time."""

_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m")


class KeptAnswers:
    """A Python object that implements a Java interface, whose latest answers stay alive.

    Py4J frees a Java object when Python no longer refers to it, for an answer at the same time as it sends the answer's
    name. If the JVM learns first that the object is free, it finds null under that name.

    Args:
        instance: The object.
    """

    def __init__(self, instance: Any) -> None:
        self.Java = instance.Java
        self._instance, self._latest = instance, deque[Any](maxlen=_ANSWERS)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._instance, name)

        def answer(*values: Any) -> Any:
            found = method(*values)
            self._latest.append(found)
            return found

        return answer if callable(method) else method


class Hadoop:
    """The JVM.

    Args:
        java: The program java.
        jars: The folder of Spark's jars.
        folder: A new folder for its output.

    Raises:
        RuntimeError: if it does not start.
    """

    def __init__(self, java: Path, jars: Path, folder: Path) -> None:
        py4j = importlib.import_module("py4j.java_gateway")  # only where Spark is

        said = folder / "jvm.txt"
        command = [str(java), *_JVM, "-cp", f"{jars}/*", "py4j.GatewayServer", "--enable-auth", "0"]
        self.process = Process(command, folder=folder, stdout=said, stderr=folder / "jvm-errors.txt")
        port, secret = self._greeting(said, folder / "jvm-errors.txt")
        first = py4j.JavaGateway(gateway_parameters=py4j.GatewayParameters(port=port, auth_token=secret))
        # The first server cannot authenticate itself to Python, so it makes another one that can.
        here = first.jvm.java.net.InetAddress.getLoopbackAddress()
        builder = first.jvm.py4j.GatewayServer.GatewayServerBuilder().javaPort(0).javaAddress(here)
        server = builder.callbackClient(0, here, secret).authToken(secret).build()
        server.start()
        self._gateway = py4j.JavaGateway(
            gateway_parameters=py4j.GatewayParameters(
                port=server.getListeningPort(), auth_token=secret, auto_convert=True
            ),
            callback_server_parameters=py4j.CallbackServerParameters(
                port=0, auth_token=secret, daemonize=True, daemonize_connections=True
            ),
        )
        server.resetCallbackClient(here, self._gateway.get_callback_server().get_listening_port())
        jvm = self._gateway.jvm
        self.yarn = jvm.org.apache.hadoop.yarn
        self.records = self.yarn.api.records
        self.messages = self.yarn.api.protocolrecords
        self._java, self._hadoop = jvm.java, jvm.org.apache.hadoop
        self._conf = self.yarn.conf.YarnConfiguration()
        self._conf.set("hadoop.security.authentication", "token")  # no connection without one of our tokens
        self._nobody = self.attempt(0, 0, 0)
        self._secrets = self.yarn.security.client.ClientToAMTokenSecretManager(self._nobody, secrets.token_bytes(32))

    def _greeting(self, said: Path, errors: Path) -> tuple[int, str]:
        """Returns the port and the secret that the JVM prints."""
        give_up = time.monotonic() + START_S
        while len(lines := said.read_text().split()) < 2:
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"Java did not start; its log ends:\n{tail(errors)}")
            time.sleep(0.05)
        return int(lines[0]), lines[1]

    def stop(self) -> None:
        """Ends the JVM with all its servers."""
        self.process.kill()
        self._gateway.shutdown_callback_server()

    def new(self, name: str) -> Any:
        """Returns an empty record or message, such as `records.ApplicationReport`."""
        kind = self._java.lang.Class.forName(f"org.apache.hadoop.yarn.api.{name}")
        return self.yarn.util.Records.newRecord(kind)

    def serve(self, protocol: str, instance: Any, port: int = 0) -> Any:
        """Serves a protocol, such as `ApplicationClientProtocol`, that a Python object implements."""
        instance = KeptAnswers(instance)
        kind = self._java.lang.Class.forName(f"org.apache.hadoop.yarn.api.{protocol}")
        address = self._java.net.InetSocketAddress(HOST, port)
        factory = self.yarn.factories.impl.pb.RpcServerFactoryPBImpl.get()
        server = factory.getServer(kind, instance, address, self._conf, self._secrets, 2, None)
        server.start()
        return server

    def attempt(self, since: int, number: int, attempt: int) -> Any:
        """Returns the id of an attempt of an application."""
        application = self.records.ApplicationId.newInstance(since, number)
        return self.records.ApplicationAttemptId.newInstance(application, attempt)

    def _token(self, kind: str, service: str, label: str = "emulator") -> Any:
        identifier = self.yarn.security.client.ClientToAMTokenIdentifier(self._nobody, label)
        token = self._hadoop.security.token.Token(identifier, self._secrets)
        token.setKind(self._hadoop.io.Text(kind))
        token.setService(self._hadoop.io.Text(service))
        return token

    def record_token(self, kind: str, service: str, label: str = "emulator") -> Any:
        """Returns a token as a record, as answers contain it; `label` can be read back by `label_of`."""
        token = self._token(kind, service, label)
        return self.records.Token.newInstance(token.getIdentifier(), kind, token.getPassword(), service)

    def label_of(self, record: Any) -> str:
        """Returns the label of a token."""
        identifier = self.yarn.security.client.ClientToAMTokenIdentifier()
        data = self._java.io.ByteArrayInputStream(record.getIdentifier().array())
        identifier.readFields(self._java.io.DataInputStream(data))
        return str(identifier.getClientName())

    def write_tokens(self, path: Path, data: bytes, kind: str, service: str) -> None:
        """Writes a token file, for this user only: the tokens in `data`, and one of this kind unless it is empty."""
        credentials = self._hadoop.security.Credentials()
        if data:
            given = self._java.io.ByteArrayInputStream(data)
            credentials.readTokenStorageStream(self._java.io.DataInputStream(given))
        if kind:
            credentials.addToken(self._hadoop.io.Text(service), self._token(kind, service))
        path.touch(mode=0o600)
        credentials.writeTokenStorageFile(self._hadoop.fs.Path(path.as_uri()), self._conf)
