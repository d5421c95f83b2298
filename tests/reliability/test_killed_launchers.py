"""kill -9 of the launcher, of the driver and of its JVM: the next submit finishes with the same data."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloudlstm import storage
from emulator_fixtures import S3_BUCKET
from pipeline.cli_runner import data_objects
from process_tree import children
from reliability.killed_runs import (
    ONE_CORE,
    PREPARE_ONLY,
    command,
    kill,
    prepared,
    processes_end,
    start,
    verify_manifest_objects,
    wait_for_exit,
)
from reliability.switchable_faults import TIMEOUT_S, Stall, SwitchableFaultProxy

VICTIMS = ("submit", "driver", "java")
KILLED_AT = ("ingest", "sequences")
"""The first and the last step of the one round that makes all of them."""


@dataclass
class Chain:
    """Submits of one run: each is killed one step later than the previous one, the last one finishes."""

    run: str
    temporary: Path
    output: list[tuple[int, str]] = field(default_factory=list)
    manifests: list[int] = field(default_factory=list)
    jobs_ended: list[bool] = field(default_factory=list)
    left_meanwhile: list[str] = field(default_factory=list)


def kill_submit(chain: Chain, server: SwitchableFaultProxy, config: Path, step: str, victim: str) -> None:
    """Starts a submit and kills the victim while the step's first object is being written."""
    env = {"AWS_ENDPOINT_URL": server.url, "TMPDIR": str(chain.temporary)}
    stall = Stall("PUT", chain.run.removeprefix("s3://"), f"/data/{step}/")
    with server.rule(stall.applies, stall.respond):
        launcher = start(str(PREPARE_ONLY), str(config), chain.run, ONE_CORE, env=env)
        assert stall.reached.wait(TIMEOUT_S), launcher.communicate()
        (driver,) = [pid for pid in children(launcher.pid) if "prepare.py" in command(pid)]
        (java,) = [pid for pid in children(driver) if "java" in command(pid)]
        verify_manifest_objects(chain.run)
        kill({"submit": launcher.pid, "driver": driver, "java": java}[victim])
        chain.output.append(wait_for_exit(launcher))
        chain.jobs_ended.append(processes_end(chain.run, chain.temporary))
        stall.released.set()  # the write arrives after the death of its writer
        chain.manifests.append(verify_manifest_objects(chain.run))
        chain.left_meanwhile += [path.name for path in chain.temporary.iterdir()]


@pytest.fixture(scope="module")
def chains(s3_proxy: SwitchableFaultProxy, config: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Chain]:
    def kill_at_each_step(victim: str) -> Chain:
        chain = Chain(f"s3://{S3_BUCKET}/killed-{tmp_path_factory.getbasetemp().name}/{victim}", temporary[victim])
        for step in KILLED_AT:
            kill_submit(chain, s3_proxy, config, step, victim)
        chain.output.append(prepared(config, chain.run, ONE_CORE, env={"TMPDIR": str(chain.temporary)}))
        return chain

    temporary = {victim: tmp_path_factory.mktemp(victim) for victim in VICTIMS}
    with ThreadPoolExecutor(len(VICTIMS)) as pool:
        return dict(zip(VICTIMS, pool.map(kill_at_each_step, VICTIMS), strict=True))


@pytest.mark.parametrize("victim", VICTIMS)
def test_the_next_submit_finishes_with_the_same_data(
    chains: dict[str, Chain], undisturbed: dict[str, str], victim: str
) -> None:
    chain = chains[victim]
    assert chain.output[-1] == (0, ""), "the last submit works and prints nothing"
    assert data_objects(chain.run) == undisturbed
    assert {item.uri for item in storage.list_objects(f"{chain.run}/data/")} == {
        f"{chain.run}/{name}" for name in undisturbed
    }


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_step_is_visible_completely_or_not_at_all(chains: dict[str, Chain], victim: str) -> None:
    assert chains[victim].manifests == [0, 0], "one round makes all steps, and no manifest comes before its end"


@pytest.mark.parametrize("victim", VICTIMS)
def test_no_process_or_file_of_a_killed_run_remains(chains: dict[str, Chain], victim: str) -> None:
    chain = chains[victim]
    assert all(chain.jobs_ended)
    assert bool(chain.left_meanwhile) == (victim == "submit"), "only a killed launcher leaves files"
    assert list(chain.temporary.iterdir()) == []


def test_the_messages_of_killed_runs(chains: dict[str, Chain]) -> None:
    assert [code for code, _ in chains["submit"].output[:-1]] == [-signal.SIGKILL] * 2
    for victim, word in (("driver", "signal 9"), ("java", "Java process was killed")):
        for code, output in chains[victim].output[:-1]:
            assert code == 1
            assert output.startswith("cloudlstm: ")
            assert output.count("\n") == 1, output
            assert word in output
