"""A whole preparation on storage that fails, throttles, hangs up, is slow or returns wrong bytes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudlstm import errors, storage
from cloudlstm.errors import CorruptObjectError, StorageUnavailableError
from cloudlstm.pipeline.prepare import run_on
from cloudlstm.pipeline.spark import Spark
from cloudlstm.runs import settings
from cloudlstm.runs.context import RunContext
from cloudlstm.runs.journal import Journal
from cloudlstm.runs.manifest import Manifest, ManifestRow
from cloudlstm.runs.paths import RunPaths
from cloudlstm.workers import job
from emulator_fixtures import environment_of
from reliability import switchable_faults
from reliability.killed_runs import prepare_here, verify_manifest_objects
from reliability.switchable_faults import RandomFaults, SwitchableFaultProxy

# Before it retries a download, Google's SDK drops the answer without closing its connection.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def _drop_connections() -> Iterator[None]:
    """Collects the SDK's unclosed connections here, where the warning is ignored."""
    yield
    gc.collect()


WRONG_BYTES = (
    switchable_faults.flip,
    switchable_faults.flip_beside_checksum,
    switchable_faults.shorten,
    switchable_faults.cut,
)
FAILING = (
    switchable_faults.busy,
    switchable_faults.broken,
    switchable_faults.too_many,
    switchable_faults.silent,
    switchable_faults.lose,
    switchable_faults.slow,
)


@pytest.mark.parametrize("faults", [FAILING, WRONG_BYTES], ids=["failing", "lying"])
@pytest.mark.parametrize("service", ["s3", "gs"])
def test_random_storage_faults_change_nothing(
    spark: Spark, config: Path, undisturbed: dict[str, str], service: str,
    faults: tuple[switchable_faults.Responder, ...], request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """A quarter of all requests has a fault, in the driver and in Spark's workers.

    One round makes all steps and reads no shard. So later steps run again by themselves until each fault occurred.
    """
    server: SwitchableFaultProxy = request.getfixturevalue(f"{service}_proxy")
    root = request.getfixturevalue(f"{service}_root")
    random_faults = RandomFaults(0.25, seed=7, faults=faults)
    way = {"s3": "AWS_ENDPOINT_URL", "gs": "STORAGE_EMULATOR_HOST"}[service]
    with server.rule(lambda _: True, random_faults.respond), environment_of({way: server.url}):
        made = [prepare_here(spark, config, f"{root}/run")]
        for step in ("clean", "features", "sequences") * 5:
            storage.delete(RunPaths(f"{root}/run").manifest(step))
            made.append(prepare_here(spark, config, f"{root}/run"))
            if len(made) > 3 and min(random_faults.changed.values()) > 0:
                break
    assert made == [undisturbed] * len(made)
    assert verify_manifest_objects(f"{root}/run") == 4
    assert min(random_faults.changed.values()) > 0, random_faults.changed


@pytest.mark.parametrize("lie", [switchable_faults.flip, switchable_faults.shorten])
def test_an_object_that_is_always_read_wrongly_ends_the_job_and_can_be_resumed(
    s3_proxy: SwitchableFaultProxy,
    s3_root: str,
    config: Path,
    undisturbed: dict[str, str],
    spark: Spark,
    lie: switchable_faults.Responder,
) -> None:
    run = f"{s3_root}/run"
    prefix = f"{s3_root.removeprefix('s3://')}/run/data/clean/"
    prepare_here(spark, config, run)
    for step in ("features", "sequences"):
        storage.delete(RunPaths(run).manifest(step))
    with (
        s3_proxy.rule(lambda request: prefix in request.path and "bars-00001" in request.path, lie),
        pytest.raises(CorruptObjectError) as caught,
    ):
        prepare_here(spark, config, run)
    assert f"{run}/data/clean/" in caught.value.message
    assert "bars-00001.parquet" in caught.value.message
    assert "submit again" in caught.value.hint
    assert "\n" not in str(caught.value)
    assert verify_manifest_objects(run) == 2
    assert prepare_here(spark, config, run) == undisturbed


def test_storage_that_never_answers_ends_the_job_in_bounded_time(
    spark: Spark, s3_proxy: SwitchableFaultProxy, s3_root: str, config: Path, undisturbed: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The driver loses its storage and retries for the backend's limit, here two seconds."""
    from cloudlstm.storage import s3

    run = f"{s3_root}/run"
    monkeypatch.setattr(s3.S3Storage.__init__, "__defaults__", (2.0,))
    gone_from_here = f"{s3_root.removeprefix('s3://')}/run/manifests/features.json"
    with (
        s3_proxy.rule(
            lambda request: gone_from_here in request.path and request.method == "PUT", switchable_faults.silent
        ),
        environment_of({"AWS_ENDPOINT_URL": s3_proxy.url}),
        pytest.raises(StorageUnavailableError, match=f"{run}/manifests/features.json") as caught,
    ):
        prepare_here(spark, config, run)
    assert "try again" in caught.value.hint
    assert verify_manifest_objects(run) == 2
    assert prepare_here(spark, config, run) == undisturbed


@pytest.fixture(scope="module")
def finished(spark: Spark, config: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A finished preparation that each test damages and repairs."""
    run = f"file://{tmp_path_factory.mktemp('damaged')}/run"
    prepare_here(spark, config, run)
    return run


def row_of(run: str, step: str) -> ManifestRow:
    manifest = Manifest.load(RunPaths(run), step)
    assert manifest is not None
    return manifest.objects[1]


@pytest.mark.parametrize(
    ("step", "change"),
    [("clean", None), ("features", lambda data: data[:-1]), ("manifest", lambda data: data[:-20]), ("manifest", None)],
)
def test_a_missing_or_truncated_object_is_written_again(
    spark: Spark, config: Path, undisturbed: dict[str, str], finished: str, step: str,
    change: Callable[[bytes], bytes] | None,
) -> None:  # fmt: skip
    """The listing at the start of the next submit finds it."""
    uri = RunPaths(finished).manifest("clean") if step == "manifest" else row_of(finished, step).uri
    if change is None:
        storage.delete(uri)
    else:
        storage.write(uri, change(storage.read(uri)))
    assert prepare_here(spark, config, finished) == undisturbed
    assert verify_manifest_objects(finished) == 4


def test_a_changed_object_is_found_when_read_and_written_again(
    spark: Spark, config: Path, undisturbed: dict[str, str], finished: str
) -> None:
    """Its size is right, so only a step that reads it finds the change: here a step whose own objects are lost."""
    uri = row_of(finished, "features").uri
    data = storage.read(uri)
    storage.write(uri, data[:1000] + bytes([data[1000] ^ 255]) + data[1001:])
    assert prepare_here(spark, config, finished) == undisturbed, "no step read it"
    storage.delete(row_of(finished, "sequences").uri)
    paths = RunPaths(finished)
    with Journal(paths, "prepare", "driver") as journal:
        context = RunContext(paths, settings.read(paths, 0), 0, journal)
        assert job._run("prepare", lambda _: run_on(spark, context), paths, 0, 0) == 1
    output = str(errors.from_record(storage.read_json(paths.failure("prepare"))))
    assert uri in output
    assert "checksum" in output
    assert "submit again: features will run again" in output
    assert "\n" not in output
    assert prepare_here(spark, config, finished) == undisturbed
    assert verify_manifest_objects(finished) == 4
