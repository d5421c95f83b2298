"""A benchmark on an emulated cloud: the cluster against this machine, with the results checked."""

from __future__ import annotations

from cloudlstm import storage
from cloudlstm.benchmark.paths import BenchmarkPaths, benchmark_ids
from pipeline.cli_runner import cloudlstm
from targets.fake_clouds import LONG_S, Target, on_one_cloud

MATRIX = ("tickers=3", "engines=cluster", "workers=[]", "repeats=1", "name=measured")


@on_one_cloud
def test_the_cluster_is_measured_against_this_machine(target: Target) -> None:
    done = cloudlstm(
        "benchmark", *MATRIX, f"--target={target.place}", f"--config={target.config}", timeout_s=2 * LONG_S
    )
    assert done.returncode == 0, done.stderr + done.stdout
    root = f"{target.bucket}/runs"
    (name,) = benchmark_ids(root)
    result = storage.read_json(BenchmarkPaths.of(root, name).result("json"))
    local, cluster = result["cells"]
    assert [(cell["engine"], cell["kind"], cell["state"]) for cell in (local, cluster)] == [
        ("local", "data", "equal"), ("cluster", "data", "equal"),
    ]  # fmt: skip
    assert result["checks"][0]["equal"] == [local["runs"][0]["run"], cluster["runs"][0]["run"]]
    assert local["usd"] is None
    assert cluster["usd"] > 0.0
    assert result["emulated"] == bool(target.document["endpoints"])
    assert result["prices"]
    assert name in target.run("runs").stdout
    assert target.run("delete", name, "--yes").returncode == 0
    assert benchmark_ids(root) == []
