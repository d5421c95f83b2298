"""The command `schedule`: sends the code of a target's launchers, and shows when they come and what they did."""

from __future__ import annotations

import datetime as dt
import json as as_json_text
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cloudlstm import __version__
from cloudlstm.cli import terminal
from cloudlstm.cli.flags import parse_switch, parse_text
from cloudlstm.cli.submit import Deferred
from cloudlstm.errors import CloudLSTMError, UsageError

if TYPE_CHECKING:
    from cloudlstm.targets.document import TargetConfig
    from cloudlstm.targets.schedule import Launch, Timetable
    from cloudlstm.targets.schedule_config import Schedule

_SHOWN = 7
"""Launches that are shown."""
_LINES = 5
"""Last lines of the log of a day that was not done; the JSON document has all that was kept."""


def schedule(
    *, target: str | None = None, dry_run: bool = False, trust_endpoints: bool = False, json: bool = False
) -> Deferred:
    """Sends the code that a target's scheduled launcher runs, and shows its next time and its last results.

    The Terraform variable `schedule` sets the time and the models. Give this command once after the first apply, and
    again after each upgrade of cloudlstm. The same command again changes nothing.

    Args:
        target: A Terraform directory, a file of `terraform output -json`, or the URI of a bucket.
        dry_run: Send nothing; print what launchers run now.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
        json: Print a JSON document.
    """
    from cloudlstm.targets import TARGETS

    where = parse_text("target", target)
    if not where or where in TARGETS:
        raise UsageError("schedule needs a cloud target", hint="cloudlstm schedule --target=infra/terraform/aws")
    trusted, dry = parse_switch("trust-endpoints", trust_endpoints), parse_switch("dry-run", dry_run)
    as_json = parse_switch("json", json)

    def work() -> int:
        from cloudlstm.targets.cloud import open_cloud

        chosen = open_cloud(where, trust_endpoints=trusted)
        document = describe(chosen.config, send=not dry)
        terminal.write(as_json_text.dumps(document, indent=2) + "\n" if as_json else _text(document))
        return 0

    return Deferred(work)


def describe(config: TargetConfig, *, send: bool) -> dict[str, Any]:
    """What the command prints, as a JSON document. Sends the code first if `send`."""
    from cloudlstm import storage
    from cloudlstm.targets import schedule as schedules
    from cloudlstm.targets.cloud import root_of
    from cloudlstm.targets.launcher_code import code_here, send_code
    from cloudlstm.targets.launchers import working

    chosen = schedules.schedule_of(config)
    timetable = schedules.open_schedule(config).look()
    before = schedules.assigned(config)
    wanted = before
    if send:
        wanted = schedules.assignment(config, send_code(config, _report()))
        if wanted != before:
            storage.write_json(schedules.assignment_uri(config), wanted)
    root = root_of(config)
    return {
        "target": config.name,
        "time": chosen.time,
        "time_zone": chosen.time_zone,
        "models": list(chosen.models),
        "next": _iso(timetable.next),
        "working": working(config),
        "code": {
            "version": str(wanted.get("code", "")) if wanted else "",
            "sha256": str(wanted.get("package", {}).get("sha256", "")) if wanted else "",
            "sent": bool(send and wanted != before),
        },
        "last": [_shown(name, launch) for name, launch in schedules.launches(root, _SHOWN)],
        "warnings": [
            *_of_timetable(chosen, timetable),
            *_of_code(wanted, None if send else code_here()),
            *_of_models(root, chosen.models),
        ],
    }


def _report() -> Callable[[str], None]:
    """A function that writes each thing that is sent once, without how much of it."""
    told: set[str] = set()

    def report(text: str) -> None:
        begin = text.partition(",")[0]
        if begin not in told:
            told.add(begin)
            terminal.write_error(f"{begin}\n")

    return report


def _shown(name: str, launch: Launch) -> dict[str, Any]:
    """A launch by its name, with the meaning of each exit status."""
    return {"name": name, **asdict(launch), "models": [asdict(each) | {"result": each.word} for each in launch.models]}


def _of_timetable(chosen: Schedule, found: Timetable) -> list[str]:
    warnings = [f"no launcher comes: {found.paused}"] if found.paused else []
    if (found.time, found.time_zone or "UTC") != (chosen.time, chosen.time_zone):
        warnings.append(
            f"the cloud has the schedule {found.time}, {found.time_zone or 'UTC'}, and the target document says "
            f"{chosen.time}, {chosen.time_zone}: terraform apply"
        )
    return warnings


def _of_code(assigned: dict[str, Any] | None, here: str | None) -> list[str]:
    """Warnings about the code that launchers run; `here` is the hash of that of this machine, None if it was sent."""
    send = "give this command without --dry-run"
    if assigned is None:
        return [f"launchers find no code: {send}"]
    if (version := assigned.get("code")) != __version__:
        return [f"launchers run cloudlstm {version}; to send {__version__}, {send}"]
    if here not in (None, assigned.get("package", {}).get("sha256")):
        return [f"launchers run another cloudlstm {version} than that of this machine; to send this one, {send}"]
    return []


def _of_models(root: str, names: tuple[str, ...]) -> list[str]:
    """Warnings about models that are not there, or that need code of the user's."""
    from cloudlstm.config import parse
    from cloudlstm.models.registry import open_model, recipe_of
    from cloudlstm.runs.own_packages import packages_of

    warnings = []
    for name in names:
        try:
            own = packages_of(parse(dict(recipe_of(open_model(root, name)).config)))
        except CloudLSTMError as error:
            warnings.append(str(error))
            continue
        if own:
            packages = ", ".join(path.name for path in own)
            warnings.append(f"model {name} needs {packages}, which launchers do not have: its days will fail")
    return warnings


def _text(document: dict[str, Any]) -> str:
    from cloudlstm.targets.schedule import STATUSES

    code = document["code"]
    how = "sent now" if code["sent"] else "in the bucket"
    lines = [
        f"schedule  {document['time']} in {document['time_zone']}: {', '.join(document['models'])}",
        f"now       {'a launcher works' if document['working'] else 'no launcher'}",
        f"next      {document['next'] or 'unknown'}",
        f"code      cloudlstm {code['version']}, {code['sha256'][:12]}, {how}" if code["sha256"] else "code      none",
        "last" + ("" if document["last"] else "      none"),
    ]
    for each in document["last"]:
        results = ", ".join(f"{day['model']} {day['result']}" for day in each["models"])
        lines.append(f"  {each['name']}  {each['began']}  {results}")
        for day in each["models"]:
            if day["result"] != STATUSES[0]:
                said = str(day["log"]).splitlines()[-_LINES:]
                lines += [f"    {day['model']}: {line}" for line in said]
    lines += [f"warning: {warning}" for warning in document["warnings"]]
    return "\n".join(lines) + "\n"


def _iso(when: dt.datetime | None) -> str | None:
    return None if when is None else when.strftime("%Y-%m-%dT%H:%M:%SZ")
