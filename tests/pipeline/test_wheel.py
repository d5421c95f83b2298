"""The built wheel, installed outside the checkout, runs a submit with its own jobs and examples."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(REPO)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_it_contains_the_data_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in ("_assets/jobs/prepare.py", "_assets/jobs/train.py", "_assets/examples/demo.toml", "py.typed",
                 "_assets/examples/benchmark.toml", "benchmark/templates/benchmark.html.j2",
                 "report/templates/report.html.j2"):  # fmt: skip
        assert f"cloudlstm/{name}" in names
    assert not [name for name in names if "tests" in name or name.endswith(".pyc")]


def test_it_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    # The dependencies are those of this environment; a path alone does not bring its editable install along.
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = subprocess.run(
        [python, "-c", "import cloudlstm; print(cloudlstm.__file__)"], capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(tmp_path))
    example = site / "cloudlstm" / "_assets" / "examples" / "demo.toml"
    done = subprocess.run(
        [tmp_path / "venv" / "bin" / "cloudlstm", "submit", f"--config={example}", "--root=runs", "model.units=8",
         "market.synthetic.tickers=3", "train.workers=1", "train.max_steps=10", "dataset.window_bars=10"],
        cwd=tmp_path, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "lstm" in done.stdout
    assert list((tmp_path / "runs").glob("demo-*/report/report.html"))
