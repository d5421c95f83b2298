"""docs/data.md names every object of a run, and describes its columns as they are."""

from __future__ import annotations

import ast
import inspect
import io
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import cloudlstm
from cloudlstm import storage
from cloudlstm.config import DatasetConfig
from cloudlstm.dataset import example, tfrecord, window_export
from cloudlstm.features import FEATURE_NAMES
from cloudlstm.market.bars import QUARANTINE
from cloudlstm.market.sources.snapshots import SNAPSHOT
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.runs.steps import STEPS
from cloudlstm.targets.local.java import find_java
from dataset.tables import features_table
from training.runs import KERAS_COPIES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()

NAMES = {
    "number": "0001", "n": "2", "step": "clean", "fingerprint": "0123456789abcdef", "shard": "00000", "job": "prepare",
    "sha256": "0123456789abcdef", "worker": "worker-0", "address": "10.0.0.1:2222", "part": "00000", "split": "train",
    "ticker": "AAA", "member": "seed-1-fold-000",
}  # fmt: skip
"""An example of each placeholder of the page."""

ARGUMENTS: dict[str, Any] = {
    "number": 1, "attempt": 1, "launcher": 2, "job": "prepare", "step": "clean", "fingerprint": "0123456789abcdef",
    "sha256": "0123456789abcdef" * 4, "worker": "worker-0", "generation": 1, "address": "10.0.0.1:2222", "part": 0,
}  # fmt: skip
"""An example of each argument of RunPaths."""


def page_paths() -> list[str]:
    return re.findall(r"^\| `([\w.<>/ -]+/[\w.<>/ -]+|config\.json)` \|", PAGE, re.MULTILINE)


def is_on_page(path: str) -> bool:
    patterns = [re.sub(r"<\w+>", "[^/]+", re.escape(known).replace(r"\-", "-")) for known in page_paths()]
    return any(re.fullmatch(pattern, path) for pattern in patterns)


def columns_after(text: str) -> dict[str, str]:
    """The first table of columns behind a text of the page: name -> type."""
    assert PAGE.count(text) == 1, text
    table = re.search(r"^\| (?:column|feature) \| type \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE.split(text)[1], re.MULTILINE)
    assert table
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+?) \|", table[1], re.MULTILINE))


def columns_of(schema: Any) -> dict[str, str]:
    return {field.name: str(field.type) for field in schema}


def test_every_path_of_the_page_is_one_of_a_run() -> None:
    paths = RunPaths("file:///runs/demo")
    assert len(page_paths()) > 30
    for path in page_paths():
        filled = re.sub(r"<(\w+)>", lambda name: NAMES[name[1]], path)
        assert paths.is_ours(f"{paths.uri}/{filled}"), path


def test_every_name_that_a_run_builds_is_on_the_page() -> None:
    paths = RunPaths("file:///runs/demo")
    uris = []
    for name, member in inspect.getmembers(RunPaths):
        if name.startswith("_") or name in ("of", "uri", "root", "run_id", "data", "report"):
            continue
        if isinstance(member, property):
            uris.append(getattr(paths, name))
        elif inspect.isfunction(member) and member.__annotations__["return"] == "str":
            example_of = ARGUMENTS | ({"step": 7} if name.startswith("checkpoint") else {})
            wanted = [each for each in inspect.signature(member).parameters.values() if each.name != "self"]
            uris.append(member(paths, *(example_of[each.name] for each in wanted)))
            uris.append(member(paths, *(example_of[each.name] for each in wanted if each.default is each.empty)))
    assert len(uris) > 20
    for uri in uris:
        path = uri.removeprefix(f"{paths.uri}/")
        if path.endswith(("/", "-")):  # the beginning of names
            folder = path.split("/")[0]
            assert any(known.startswith(f"{folder}/") for known in page_paths()), path
        else:
            assert is_on_page(path), path


def test_every_object_of_a_run_is_on_the_page(run: cloudlstm.Run) -> None:
    found = [item.uri.removeprefix(f"{run.uri}/") for item in storage.list_objects(f"{run.uri}/")]
    assert len(found) > 30
    assert [path for path in found if not is_on_page(path)] == []


@pytest.mark.parametrize(
    ("step", "kind"),
    [("ingest", "bars"), ("clean", "bars"), ("clean", "quarantine"), ("features", "features"),
     ("train", "predictions"), ("evaluate", "forecasts_parquet")],
)  # fmt: skip
def test_columns_are_those_of_the_files(run: cloudlstm.Run, step: str, kind: str) -> None:
    manifest = Manifest.load(RunPaths(run.uri), step)
    assert manifest is not None
    beginning = "Object" if step in ("train", "evaluate") else "Objects"
    for row in manifest.of_kind(kind):
        schema = pq.read_schema(io.BytesIO(storage.read(row.uri)))
        assert columns_of(schema) == columns_after(f"{beginning} of kind `{kind}` of the step `{step}`")


def test_columns_of_what_this_run_lacks_are_those_of_the_code() -> None:
    assert columns_of(SNAPSHOT) == columns_after("Answers of Yahoo by ticker")
    assert columns_of(QUARANTINE) == columns_after("Objects of kind `quarantine` of the step `clean`")


def kinds_of(record: bytes) -> dict[str, str]:
    """Feature -> its kind, and its length where that does not depend on the number of bars."""
    kinds = {list: "bytes", np.dtype("float32"): "float", np.dtype("int64"): "int64"}
    decoded = example.decode(record, "a record")
    return {name: kinds[getattr(value, "dtype", list)] for name, value in decoded.items()}


def test_features_of_records_are_those_of_the_files(run: cloudlstm.Run) -> None:
    stated = columns_after("Objects of kind `train`, `validation`, `test` and `forecast` of the step `sequences`")
    manifest = Manifest.load(RunPaths(run.uri), "sequences")
    assert manifest is not None
    for row in manifest.objects:
        for record in tfrecord.records(storage.read(row.uri), row.uri):
            assert kinds_of(record) == {name: kind.split()[0] for name, kind in stated.items()}
            values = example.decode(record, row.uri)
            bars = len(values["dates"])
            lengths = {"ticker": "1", "dates": "bars", "values": f"bars * {len(FEATURE_NAMES)}", "targets": "bars"}
            assert {name: kind.split(" ", 1)[1] for name, kind in stated.items()} == {
                name: f"[{length}]" for name, length in lengths.items()
            }
            assert {name: len(value) for name, value in values.items()} == {
                name: eval(length, {"bars": bars}) for name, length in lengths.items()
            }


def test_features_of_single_windows_are_those_of_the_files() -> None:
    stated = columns_after("Single windows, objects of kind `<split>-windows` of the step `sequences`")
    config = DatasetConfig.model_validate(
        {"train_end": "2021-12-31", "validation_end": "2022-03-31", "window_bars": 10}
    )
    exported = window_export.export(features_table(), config)
    record = next(tfrecord.records(exported["train"].data, "train"))
    assert kinds_of(record) == {name: kind.split()[0] for name, kind in stated.items()}
    lengths = {name: eval(kind.split(" ", 1)[1], {"window_bars": 10})[0] for name, kind in stated.items()}
    assert {name: len(value) for name, value in example.decode(record, "train").items()} == lengths


def test_a_manifest_has_the_keys_of_the_page(run: cloudlstm.Run) -> None:
    table = re.search(r"^\| key \| type \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert table
    keys = re.findall(r"^\| `(\w+)`", table[1], re.MULTILINE)
    inner = re.findall(r"`(\w+)`", re.search(r"one entry per object: (.*)\|", PAGE)[1])  # type: ignore[index]
    for step in STEPS:
        document = storage.read_json(f"{run.uri}/manifests/{step.name}.json")
        assert sorted(document) == sorted(keys)
        assert all(sorted(entry) == sorted(inner) for entry in document["objects"])


def snippets() -> list[str]:
    found = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 7
    return found


def namespace_of(folder: Path, *wanted: str) -> dict[str, Any]:
    """What the snippets that import one of these packages leave behind."""
    namespace: dict[str, Any] = {"run": str(folder)}
    for code in snippets():
        imported = re.search(r"^(?:import|from) (\w+)", code)
        if imported and imported[1] in wanted:
            exec(code, namespace)
    return namespace


def test_snippets_for_pandas(run: cloudlstm.Run, root: Path) -> None:
    found = namespace_of(root / run.id, "json", "pandas", "numpy")
    assert len(found["bars"]) == run.bars.num_rows
    assert found["closes"].shape[1] == 6
    lstm = run.report.models[3]
    assert len(found["test"]) == lstm.labels
    assert found["rmse"] == pytest.approx(lstm.rmse_return)


@pytest.mark.filterwarnings(KERAS_COPIES)
def test_snippets_for_tensorflow(run: cloudlstm.Run, root: Path) -> None:
    found = namespace_of(root / run.id, "json", "tensorflow")
    values, targets = zip(*found["raw_windows"].as_numpy_iterator(), strict=True)
    windows = run.windows("test")
    np.testing.assert_array_equal(np.stack(values), windows.values)
    np.testing.assert_array_equal(np.stack(targets), windows.targets)


@pytest.mark.filterwarnings(KERAS_COPIES)
def test_snippet_for_cloudlstm(run: cloudlstm.Run, root: Path) -> None:
    found = namespace_of(root / run.id, "cloudlstm")
    assert len(found["bars"]) == run.bars.num_rows
    assert len(found["returns"]) == len(found["windows"]) == run.report.models[3].labels


def test_snippet_for_spark(run: cloudlstm.Run, root: Path) -> None:
    """In a process of its own, which ends its JVM."""
    code = [text for text in snippets() if text.startswith(("import json", "from pyspark"))]
    after = "print(dict(map(tuple, by_ticker.collect())))"
    setting = f"import os\nos.environ |= {{'JAVA_HOME': {str(find_java().home)!r}, 'SPARK_LOCAL_IP': '127.0.0.1'}}\n"
    program = "\n".join([setting, f"run = {str(root / run.id)!r}", *code, after])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    bars = run.bars.to_pandas()
    assert ast.literal_eval(done.stdout.splitlines()[-1]) == bars.groupby("ticker").size().to_dict()


def test_snippet_for_duckdb(run: cloudlstm.Run, root: Path) -> None:
    (code,) = [text for text in snippets() if text.startswith("import duckdb")]
    compile(code, "data.md", "exec")
    if find_spec("duckdb") is None:
        pytest.skip("duckdb is not installed; the snippet was only compiled")
    assert len(namespace_of(root / run.id, "json", "duckdb")["average"]) == 6
