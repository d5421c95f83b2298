"""A benchmark on an emulated cloud: the cluster against this machine, with the results checked."""

from __future__ import annotations

from cloudlstm import storage
from cloudlstm.benchmark.paths import BenchmarkPaths, benchmark_ids
from pipeline.cli_runner import cloudlstm
from targets.fake_clouds import LONG_S, Target, on_one_cloud

MATRIX = ("tickers=3", "engines=cluster", "workers=1", "repeats=1", "name=measured")


@on_one_cloud
def test_the_cluster_is_measured_against_this_machine(target: Target) -> None:
    done = cloudlstm(
        "benchmark", *MATRIX, f"--target={target.place}", f"--config={target.config}", timeout_s=2 * LONG_S
    )
    assert done.returncode == 0, done.stderr + done.stdout
    root = f"{target.bucket}/runs"
    (name,) = benchmark_ids(root)
    result = storage.read_json(BenchmarkPaths.of(root, name).result("json"))
    local, cluster, training = result["cells"]
    assert [cell["state"] for cell in result["cells"]] == ["equal"] * 3
    assert [(cell["engine"], cell["kind"]) for cell in (local, cluster, training)] == [
        ("local", "data"), ("cluster", "data"), ("cluster", "train"),
    ]  # fmt: skip
    assert result["checks"][0]["equal"] == [local["runs"][0]["run"], cluster["runs"][0]["run"]]
    assert local["usd"] is None
    assert cluster["usd"] > 0.0
    assert training["usd"] > 0.0
    assert training["scores"]["rmse_price"] > 0.0
    assert result["emulated"]
    assert any("no speed-up by distribution can be seen" in text for text in result["caveats"])
    assert target.group_size == 0
    assert name in target.run("runs").stdout
    assert target.run("delete", name, "--yes").returncode == 0
    assert benchmark_ids(root) == []
