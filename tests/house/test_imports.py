"""The rooms import downwards only, and the command's help loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cloudlstm

PACKAGE = Path(cloudlstm.__file__).parent

SHARED = ["text", "errors", "storage", "config", "runs", "costs", "workers"]
WORK = ["market", "exogenous", "features", "dataset", "training", "evaluation", "audit", "report"]
"""Each room of these two lists may import the rooms before it, and rooms of WORK all of SHARED."""
PIPELINE = "pipeline"
"""Carries the work: it may import every room of WORK, and only jobs/ imports it."""
BENCHMARK = "benchmark"
"""Judges the runs that `cli` launches as cells: it may import every room of WORK, and only `cli` imports it."""
MODELS = "models"
"""Judges models that live from day to day: it may import every room of WORK, and only `cli` imports it."""
STREAM = "stream"
"""Forecasts while bars arrive: it may import every room of WORK, and `models`; only `cli` imports it."""
LAUNCH = {"cli", "targets"}
TYPED_REPORT = ("cloudlstm.report.models", "cloudlstm.report.schema", "cloudlstm.evaluation.rows")
"""Read report.json, and need pydantic only: `cli` may import them, and no other module of these rooms."""
LOOKS_AT = {"market", "exogenous", "features", "dataset", "audit"}
"""`cli` looks at the source of bars, at the dates of the splits before it starts jobs, and at feature tables."""
NOTEBOOK = {"api", "notebook"}
"""Submits runs and reads results: it may import every room but PIPELINE; only the package itself imports it."""
AT_THE_TOP = {"errors.py", "api.py", "__main__.py", "__init__.py"}


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py").replace("__init__", "").replace("__main__", "cli")


def imports_of(path: Path) -> set[str]:
    """Every module that a file names in an import, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            found |= {str(name.value) for name in node.args[:1] if isinstance(name, ast.Constant)}
    return found


def rooms_imported(path: Path) -> set[str]:
    """The rooms of this package that a file imports."""
    rooms = set()
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] == "cloudlstm" and len(parts) > 1:
            is_room = (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").exists()
            rooms.add(parts[1] if is_room else "")
    return rooms


SOURCES = sorted(PACKAGE.rglob("*.py"))


def test_every_room_is_known() -> None:
    known = {*SHARED, *WORK, *LAUNCH, *NOTEBOOK, PIPELINE, BENCHMARK, MODELS, STREAM, ""}
    assert {room_of(path) for path in SOURCES} <= known
    assert {path.name for path in PACKAGE.glob("*.py")} <= AT_THE_TOP


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    room = room_of(path)
    allowed = {"", *SHARED}
    if room in SHARED:
        allowed = {"", *SHARED[: SHARED.index(room) + 1]}
    elif room in WORK:
        allowed |= set(WORK[: WORK.index(room) + 1])
    elif room in LAUNCH:
        allowed |= LAUNCH | ({"report", "evaluation", BENCHMARK, MODELS, STREAM, *LOOKS_AT} if room == "cli" else set())
        rooms = ("cloudlstm.report", "cloudlstm.evaluation")
        assert all(name.startswith(TYPED_REPORT) for name in imports_of(path) if name.startswith(rooms))
    elif room in NOTEBOOK:
        allowed |= {*WORK, *LAUNCH, *NOTEBOOK}
    elif room == "":
        allowed |= {"api"}
    elif room in (PIPELINE, BENCHMARK, MODELS):
        allowed |= {room, *WORK}
    elif room == STREAM:
        allowed |= {room, MODELS, *WORK}
    assert rooms_imported(path) <= allowed


@pytest.mark.parametrize(
    ("package", "where"),
    [("pyspark", {"pipeline", "stream"}), ("confluent_kafka", {"stream"}),
     ("tensorflow", {"training"}), ("keras", {"training"}),
     ("boto3", {"storage", "targets"}),
     ("google", {"storage", "targets"}), ("fire", {"cli"}), ("yfinance", {"market"}), ("curl_cffi", {"market"}),
     ("mlflow", {"models"})],
)  # fmt: skip
def test_a_heavy_package_is_imported_in_one_room(package: str, where: set[str]) -> None:
    rooms = {room_of(path) for path in SOURCES if any(name.split(".")[0] == package for name in imports_of(path))}
    assert rooms <= where


@pytest.mark.parametrize("statement", ["import cloudlstm", "from cloudlstm.cli import main; main(['--help'])"])
def test_nothing_heavy_is_loaded(statement: str) -> None:
    heavy = {"pydantic", "pyspark", "tensorflow", "keras", "boto3", "google", "pyarrow", "numpy", "pandas", "rich"}
    code = f"{statement}\nimport sys; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_reading_a_report_loads_nothing_heavy_but_pydantic() -> None:
    code = "import cloudlstm.report.schema, sys; print(sorted({'numpy', 'pyarrow', 'jinja2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_job_prepare_loads_no_tensorflow() -> None:
    """Nodes of Spark have neither TensorFlow nor Keras."""
    code = "import sys, cloudlstm.pipeline.prepare, cloudlstm.report.evaluate as e; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'keras'" not in done.stdout
    assert "'tensorflow'" not in done.stdout
