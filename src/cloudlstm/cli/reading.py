"""The commands that read runs: status, logs, report and runs. Each checks what was typed and returns a Deferred."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cloudlstm.cli.flags import command_line, parse_number, parse_switch, parse_text
from cloudlstm.cli.submit import Deferred
from cloudlstm.errors import UsageError

if TYPE_CHECKING:
    from cloudlstm.runs.paths import RunPaths
    from cloudlstm.stream.paths import StreamPaths


def status(
    run: str | None = None,
    *,
    root: str | None = None,
    target: str | None = None,
    watch: bool = False,
    json: bool = False,
) -> Deferred:
    """Shows the state of a run, step by step, or of a stream.

    Args:
        run: The id or URI of the run, or streams/NAME; by default the last run.
        root: The folder of all runs.
        target: A target whose bucket holds the runs, unless root is given.
        watch: Show it anew every two seconds until the run has ended.
        json: Print a JSON document.
    """
    from cloudlstm.cli.status_view import show_status

    keep, as_json = parse_switch("watch", watch), parse_switch("json", json)

    def of_stream(paths: StreamPaths) -> int:
        from cloudlstm.cli.stream_status import show_stream

        return show_stream(paths, watch=keep, as_json=as_json)

    return on_run(run, root, target, lambda paths: show_status(paths, watch=keep, as_json=as_json), of_stream)


def logs(
    run: str | None = None,
    *,
    root: str | None = None,
    target: str | None = None,
    follow: bool = False,
    tail: int | None = None,
    step: str | None = None,
    worker: str | None = None,
    json: bool = False,
) -> Deferred:
    """Prints the log lines of all jobs and workers of a run, or of the job of a stream on Spark.

    Args:
        run: The id or URI of the run, or streams/NAME; by default the last run.
        root: The folder of all runs.
        target: A target whose bucket holds the runs, unless root is given.
        follow: Continue until the launcher of the run, or the stream, has ended.
        tail: Print this many last lines only.
        step: Print the lines of the job that runs this step only.
        worker: Print the lines of this worker only, such as driver or worker-0.
        json: Print a JSON document.
    """
    from cloudlstm.cli.logs import Selection, job_of, show_logs

    on, as_json = parse_switch("follow", follow), parse_switch("json", json)
    job = job_of(name) if (name := parse_text("step", step)) else None
    selection = Selection(job, parse_text("worker", worker), parse_number("tail", tail))

    def of_run(paths: RunPaths) -> int:
        return show_logs(paths, follow=on, selection=selection, as_json=as_json)

    def of_stream(paths: StreamPaths) -> int:
        from cloudlstm.runs.paths import RunPaths

        return of_run(RunPaths(paths.uri))

    return on_run(run, root, target, of_run, of_stream)


def report(
    run: str | None = None,
    *,
    root: str | None = None,
    target: str | None = None,
    open: bool = False,  # noqa: A002 - the name of the flag
    to: str | None = None,
    json: bool = False,
) -> Deferred:
    """Prints the results of a finished run or of a benchmark, and the place of its report.

    Args:
        run: The id or URI of the run or benchmark; by default the last finished run.
        root: The folder of all runs.
        target: A target whose bucket holds the runs, unless root is given.
        open: Open the report in the browser.
        to: Copy the page, the JSON document and the tables of forecasts into this folder.
        json: Print report.json or benchmark.json.
    """
    from cloudlstm.cli import copies, find
    from cloudlstm.cli.result import show_json, show_results

    base, named = find.chosen_root(parse_text("root", root), parse_text("target", target)), parse_text("run", run)
    to_open, folder, as_json = parse_switch("open", open), parse_text("to", to), parse_switch("json", json)
    if as_json and (to_open or folder):
        raise UsageError("report --json prints, --open and --to do not", hint="one of them at a time")

    def work() -> int:
        if named and (benchmark := find.find_benchmark(base, named)):
            from cloudlstm.cli.benchmark_results import show_benchmark

            return show_benchmark(benchmark, folder=folder, to_open=to_open, as_json=as_json)
        paths = find.find_run(base, named, among=find.is_finished)
        if as_json:
            return show_json(paths)
        if to_open or folder:
            return copies.show_copies(copies.results_of(paths), folder=folder, to_open=to_open)
        return show_results(paths, root=base)

    return Deferred(work)


def runs(
    *names: str,
    root: str | None = None,
    target: str | None = None,
    failed: bool = False,
    limit: int | None = None,
    json: bool = False,
) -> Deferred:
    """Lists all runs, or compares some of them side by side.

    A comparison shows the settings that differ, and the results. Part of an id is enough if only one run has it.

    Args:
        names: The runs to compare; without names, all runs are listed, the newest first.
        root: The folder of all runs.
        target: A target whose bucket holds the runs, unless root is given.
        failed: List failed runs only.
        limit: List this many runs at most; by default the newest 50, with --json all.
        json: Print a JSON document.
    """
    from cloudlstm.cli import comparison, find, runs

    base = find.root_uri(find.chosen_root(parse_text("root", root), parse_text("target", target)))
    only, most, as_json = parse_switch("failed", failed), parse_number("limit", limit), parse_switch("json", json)
    if names and (only or most is not None):
        raise UsageError("--failed and --limit are for the list of all runs", hint="leave them out, or the names")
    if names:
        return Deferred(lambda: comparison.show_comparison(base, [str(name) for name in names], as_json=as_json))
    typed = command_line("runs", (), root=root, target=target)
    return Deferred(lambda: runs.show_runs(base, typed, failed=only, limit=most, as_json=as_json))


def on_run(
    run: str | None,
    root: str | None,
    target: str | None,
    view: Callable[[RunPaths], int],
    of_stream: Callable[[StreamPaths], int],
) -> Deferred:
    """Work on an existing run or stream, which is searched after Fire has accepted every word."""
    from cloudlstm.cli import find

    base, named = find.chosen_root(parse_text("root", root), parse_text("target", target)), parse_text("run", run)

    def work() -> int:
        if stream := find.find_stream(base, named):
            return of_stream(stream)
        try:
            paths = find.find_run(base, named)
        except UsageError:
            if named and (benchmark := find.find_benchmark(base, named)):
                raise UsageError(
                    f"{benchmark.name} is a benchmark, not a run; its runs are in {benchmark.cells}",
                    hint=f"cloudlstm report {benchmark.name}, or --root={benchmark.cells} for its runs",
                ) from None
            raise
        return view(paths)

    return Deferred(work)
