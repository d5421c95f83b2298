"""Fixtures: one Spark, emulators behind a proxy that injects faults, and one undisturbed run to compare with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloudlstm.config import SparkConfig
from cloudlstm.pipeline.spark import Spark
from cloudlstm.targets.local.java import find_java
from pipeline.cli_runner import write_config
from reliability.killed_runs import end_started, prepare_here
from reliability.switchable_faults import SwitchableFaultProxy, switchable_fault_proxy


@pytest.fixture(autouse=True)
def ended_processes() -> Iterator[None]:
    """Ends the processes that a failed test did not wait for; they would disturb the tests after it."""
    yield
    end_started()


@pytest.fixture(scope="session")
def s3_proxy(s3_endpoint: str) -> Iterator[SwitchableFaultProxy]:
    """A fault proxy in front of the S3 emulator; this process itself connects to the emulator directly."""
    with switchable_fault_proxy(s3_endpoint) as server:
        yield server


@pytest.fixture(scope="session")
def gs_proxy(gs_endpoint: str) -> Iterator[SwitchableFaultProxy]:
    with switchable_fault_proxy(gs_endpoint) as server:
        yield server


class SharedSpark(Spark):
    """A Spark for many modules; another Spark in this process shares its JVM and may stop its context."""

    environment: Mapping[str, str]

    @property
    def context(self) -> Any:
        if self._started is not None and self._started._jsc is None:
            self._started = None
        context = super().context
        context.environment.update(self.environment)  # the workers' own, whatever the JVM's was when it began
        return context


@pytest.fixture(scope="session")
def spark(s3_proxy: SwitchableFaultProxy, gs_proxy: SwitchableFaultProxy) -> Iterator[Spark]:
    """A Spark with two cores whose workers reach storage through the proxies."""
    os.environ["JAVA_HOME"] = str(find_java().home)
    with SharedSpark(SparkConfig(master="local[2]"), app_name="reliability") as application:
        sdks = {name: text for name, text in os.environ.items() if name.startswith(("AWS_", "DISABLE_GCS_"))}
        ways = {"AWS_ENDPOINT_URL": s3_proxy.url, "STORAGE_EMULATOR_HOST": gs_proxy.url}
        application.environment = sdks | ways
        yield application


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="session")
def undisturbed(spark: Spark, config: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name and checksum of every data object of an undisturbed prepare job."""
    return prepare_here(spark, config, f"file://{tmp_path_factory.mktemp('undisturbed')}/run")
