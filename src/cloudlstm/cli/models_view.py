"""What the commands on models print."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from cloudlstm import storage
from cloudlstm.cli import terminal
from cloudlstm.cli.copies import Results, show_copies
from cloudlstm.config import parse
from cloudlstm.errors import UsageError
from cloudlstm.models import registry
from cloudlstm.models.creating import within_a_day
from cloudlstm.models.documents import Day
from cloudlstm.models.paths import ModelPaths
from cloudlstm.text.numbers import counted
from cloudlstm.text.printable import printable

_SHOWN = 10
_COLUMNS = 80


def list_text(root: str, *, as_json: bool) -> str:
    """All models of a root with their champions and last days."""
    rows = []
    for name in registry.model_names(root):
        paths = ModelPaths.of(root, name)
        dates = registry.day_dates(paths)
        day = registry.day_of(paths, dates[-1]) if dates else None
        move = registry.newest_move(paths)
        rows.append({
            "name": name, "champion": move.version, "since": move.date, "versions": len(registry.versions_of(paths)),
            "day": day.date if day else None, "status": day.status if day else None,
        })  # fmt: skip
    if as_json:
        return _json({"schema": 1, "models": rows})
    if not rows:
        return _lines([f"no models in {root}; cloudlstm models create NAME --run=RUN makes one"])
    lines = [
        f"{row['name']}: version {row['champion']} of {row['versions']} is the champion since {row['since']}; "
        + (f"last day {row['day']}, {row['status']}" if row["day"] else "no day yet")
        for row in rows
    ]
    return _lines(lines)


def model_text(paths: ModelPaths, *, as_json: bool) -> str:
    """The versions of a model, the moves of its champion, and its challengers."""
    versions, moves = registry.versions_of(paths), registry.moves_of(paths)
    dates = registry.day_dates(paths)
    day = registry.day_of(paths, dates[-1]) if dates else None
    if as_json:
        document = {"schema": 1, "name": paths.name, "uri": paths.uri, "recipe": asdict(registry.recipe_of(paths)),
                    "versions": [asdict(each) for each in versions], "moves": [asdict(each) for each in moves],
                    "day": asdict(day) if day else None}  # fmt: skip
        return _json(document)
    lines = [f"model {paths.name}: {paths.uri}"]
    for each in versions:
        parent = f", from version {each.parent}" if each.parent else ""
        recipe = f" {each.recipe}" if each.recipe else ""
        lines.append(f"  version {each.number}: {each.kind}{recipe}{parent}, made {each.made}, seen to {each.seen}")
    for move in moves:
        reasons = f": {'; '.join(move.reasons)}" if move.reasons else ""
        lines.append(f"  {move.date}  champion is version {move.version} ({move.basis}){reasons}")
    if day is None:
        lines.append(f"no day yet: {_first_use(paths)}")
    else:
        lines += _day_lines(day)
    if moves and day and moves[-1].version != day.champion:
        lines.append(f"since then version {moves[-1].version} is the champion ({moves[-1].basis})")
    return _lines(lines)


def _first_use(paths: ModelPaths) -> str:
    """The command that uses a new model."""
    if within_a_day(parse(dict(registry.recipe_of(paths).config))):
        return f"cloudlstm stream NAME --model={paths.name} --source=kafka://HOST:PORT/TOPIC"
    return f"cloudlstm daily {paths.name} --root={paths.root}, or with its --target"


def day_text(name: str, day: Day, *, as_json: bool) -> str:
    """What a day found and decided."""
    return (
        _json({"schema": 1, "model": name, **asdict(day)}) if as_json else _lines([f"model {name}", *_day_lines(day)])
    )


def _day_lines(day: Day) -> Iterable[str]:
    status = {"done": "done", "refused": "REFUSED", "late": "too late for forecasts"}[day.status]
    yield f"day {day.date}: {status}"
    yield from (f"  {reason}" for reason in day.reasons[:_SHOWN])
    if day.missed:
        yield f"  {counted(len(day.missed), 'session')} without a day before it: {', '.join(day.missed[:_SHOWN])}"
    yield from _bars_lines(day)
    yield from (f"  {note}" for note in day.notes[:_SHOWN])
    if day.status != "refused":
        yield from _check_lines(day)
    for outcome in day.outcomes:
        ours, naive = outcome.loss.get(str(outcome.champion)), outcome.loss.get("naive")
        if ours is not None and naive:
            ratio = f"{ours / naive:.3f} of naive's"
            yield f"  {outcome.session}: squared error {ratio}, {counted(outcome.tickers, 'ticker')}"
    alarms = [str(each["name"]) for each in day.drift if each["alarm"]]
    if alarms:
        yield f"  drift: {', '.join(alarms)}"
    for each in day.decisions:
        if each.action != "wait":
            yield f"  version {each.version}: {each.action} ({each.basis}): {'; '.join(each.reasons)}"
    for challenger in day.challengers:
        gate = challenger.gate
        yield (
            f"  version {challenger.version} competes ({challenger.judged}): {counted(gate.sessions, 'session')}, "
            f"e-value {gate.better.e_value:.3g} that it is better, {gate.worse.e_value:.3g} that it is worse"
        )
    yield from (f"  training is due: {each.run} ({each.why})" for each in day.due)
    yield from (f"  training REFUSED: {each.why}" for each in day.over_budget)
    if day.session:
        number = day.forecasts.get(str(day.champion), 0)
        yield f"  champion is version {day.champion}; {counted(number, 'forecast')} made before {day.session}"
        yield f"  ledger: {day.record}"


def _bars_lines(day: Day) -> Iterable[str]:
    """What the source has changed or refused to tell, by ticker."""
    for key, what in _BARS.items():
        found = [each["ticker"] if isinstance(each, dict) else str(each) for each in day.bars.get(key) or ()]
        if found and not (key == "new" and day.before is None):
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            yield f"  {what}: {', '.join(found[:_SHOWN])}{more}"


def _check_lines(day: Day) -> Iterable[str]:
    """Tickers without a forecast and refused bars, also of a day on which there are few enough of them."""
    for check in day.checks:
        if check["name"] == "coverage" and check["tickers"]:
            yield f"  no forecast for {', '.join(check['tickers'])}"
        if check["name"] == "refused" and check["value"] > 0:
            yield f"  {check['text']}"


_BARS = {
    "new": "new tickers",
    "corrected": "late corrections",
    "restated": "histories fetched anew",
    "quarantined": "bars that contradict the stored ones, which stay",
    "failed": "no answer from the source",
}


def verify(paths: ModelPaths, noted: Sequence[str], *, as_json: bool) -> int:
    """Verifies ledger and delivered forecasts of a model; exit status 1 if something is wrong with them."""
    from cloudlstm.models.verifying import verify_model

    found = verify_model(paths, noted)
    if as_json:
        terminal.write(_json({"schema": 1, "model": paths.name, **asdict(found)}))
    else:
        lines = [f"{paths.name}: {counted(found.records, 'record')}, {counted(found.wrong, 'problem')}"]
        lines += [f"  {each.kind}: {each.text}" for each in found.problems]
        lines += [f"  delivered: {each}" for each in found.delivered]
        if found.gaps:
            lines.append(f"  {counted(len(found.gaps), 'session')} without forecasts: {', '.join(found.gaps[:_SHOWN])}")
        if found.newest:
            lines.append(f"  newest digest: {found.newest}")
        terminal.write(_lines(lines))
    return 1 if found.wrong else 0


def export_text(paths: ModelPaths, tracking_uri: str, *, as_json: bool) -> str:
    """Exports a model to MLflow and tells what that changed."""
    from cloudlstm.models.mlflow_export import export

    found = export(paths, tracking_uri)
    if as_json:
        return _json({"schema": 1, "model": found.name, **asdict(found)})
    added = f"{counted(len(found.added), 'version')} of {found.name} exported to {found.to}"
    champion = f"; version {found.champion} is the champion there" if found.champion else ""
    return _lines([added + champion])


def show_page(paths: ModelPaths, *, opened: bool) -> None:
    """Prints the place of a model's page, and opens it if that is wanted."""
    if not storage.exists(paths.monitor):
        raise UsageError(f"model {paths.name} has no page", hint="pip install 'cloudlstm[report]'")
    terminal.write(f"{paths.monitor}\n")
    if opened:
        missing = UsageError(f"model {paths.name} has no page")
        show_copies(Results(paths.name, {"monitor.html": paths.monitor}, missing), folder=None, to_open=True)


def _json(document: object) -> str:
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _lines(lines: Iterable[str]) -> str:
    """The lines, wrapped at 80 columns; the rest of a line stands below its beginning, further right."""
    return "".join(f"{part}\n" for line in lines for part in _wrapped(printable(line)))


def _wrapped(line: str) -> list[str]:
    rest = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(
        line, _COLUMNS, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
