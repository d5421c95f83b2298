"""The command `benchmark`: measures what distribution buys, in time, cost and accuracy."""

from cloudlstm.cli.flags import command_line, parse_switch, parse_text
from cloudlstm.cli.submit import Deferred


def benchmark(
    *overrides: str,
    config: str | None = None,
    root: str | None = None,
    target: str | None = None,
    wait: bool = False,
    dry_run: bool = False,
    trust_endpoints: bool = False,
    json: bool = False,
) -> Deferred:
    """Measures the data steps and training on one machine and distributed, and checks that the results are equal.

    Words without a dot describe what is measured: tickers, engines (local, spark, cluster), cores, workers, repeats; in
    a TOML file they are the table `benchmark`. The same benchmark again runs only the cells that have not run yet.

    Args:
        overrides: What is measured, such as tickers=6,100 engines=local,spark workers=1,2 repeats=3, and settings of
            the runs by name, such as train.epochs=1.
        config: A TOML file with settings and a table `benchmark`, or its storage URI.
        root: The folder of all runs; the benchmark is in its folder `benchmarks`.
        target: Where training and the engine cluster run; by default this machine.
        wait: Wait while another run uses the trainers of the target.
        dry_run: List the cells with an estimate of time and cost, and do nothing else.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
        json: Print a JSON document: benchmark.json, or with --dry-run the cells.
    """
    import shlex

    from cloudlstm.cli.benchmark_plan import make_benchmark_plan, read_settings
    from cloudlstm.targets import open_target

    trusted, as_json, dry = (
        parse_switch("trust-endpoints", trust_endpoints),
        parse_switch("json", json),
        parse_switch("dry-run", dry_run),
    )
    chosen = open_target(parse_text("target", target), wait=parse_switch("wait", wait), trust_endpoints=trusted)
    words, place = [str(word) for word in overrides], parse_text("root", root)
    settings, matrix = read_settings(parse_text("config", config), words)
    flags = {"config": config, "root": root, "target": target}
    again = shlex.join(command_line("benchmark", overrides, **flags, trust_endpoints=trusted))

    def work() -> int:
        from cloudlstm.cli.benchmark_view import carry_out, show_plan

        plan = make_benchmark_plan(chosen, settings, matrix, place)
        if dry:
            return show_plan(plan, as_json=as_json)
        return carry_out(plan, again, as_json=as_json)

    return Deferred(work)
