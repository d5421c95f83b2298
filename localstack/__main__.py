"""The emulator's command line: `python -m localstack up`, `down`, `env`, `state`, `fault`, `clock`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from localstack import background
from localstack.cloud import CLOUDS, Options
from localstack.server.control import Control
from localstack.server.faults import KINDS, Fault
from localstack.target import LAUNCHER

_POLL_S = 0.2


def main(command_line: list[str]) -> int:
    """Runs a command and returns its exit status: 1 if it failed, 2 for wrong arguments."""
    arguments = _parser().parse_args(command_line)
    try:
        _COMMANDS[arguments.command](arguments, command_line)
    except (background.NotRunningError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _up(arguments: argparse.Namespace, command_line: list[str]) -> None:
    if arguments.foreground:
        options = Options(
            cloud=arguments.cloud,
            pyspark=arguments.pyspark,
            trainer_python=arguments.trainer_python,
            log_delay_s=arguments.log_delay,
            node_environment=dict(setting.split("=", 1) for setting in arguments.node_env),
            storage_port=arguments.storage_port,
            services_port=arguments.services_port,
            control_port=arguments.control_port,
        )
        name = arguments.name if arguments.target else ""
        wheelhouse, schedule = arguments.wheelhouse, _schedule(arguments)
        background.hold(arguments.folder, options, name, arguments.target, wheelhouse=wheelhouse, schedule=schedule)
    else:
        exported = background.start(arguments.folder, command_line[1:])
        _print_exports(exported)
        sys.stderr.write(f"the emulated cloud runs; its logs are in {arguments.folder}\n")
        usual = arguments.folder == background.FOLDER.resolve()
        by_make = 'eval "$(make -s cloud-down)" or ' if usual else ""
        sys.stderr.write(f'end it with {by_make}eval "$({background.command_line("down", arguments.folder)})"\n')
        if exposed := Control(exported["CLOUDLSTM_EMULATOR_URL"]).state()["exposed"]:
            sys.stderr.write(f"{exposed}\n")


def _down(arguments: argparse.Namespace, _: list[str]) -> None:
    exported = background.exported_by(arguments.folder)
    try:
        background.stop(arguments.folder)
    finally:
        for name in exported:
            sys.stdout.write(f"unset {name}\n")
    sys.stderr.write(f"the emulated cloud in {arguments.folder} has ended\n")


def _env(arguments: argparse.Namespace, _: list[str]) -> None:
    _print_exports(background.environment(arguments.folder, terraform=arguments.terraform))


def _state(arguments: argparse.Namespace, _: list[str]) -> None:
    sys.stdout.write(json.dumps(_control(arguments).state(), indent=1) + "\n")


def _fault(arguments: argparse.Namespace, _: list[str]) -> None:
    control = _control(arguments)
    if arguments.kind == "list":
        sys.stdout.write(json.dumps(control.faults(), indent=1) + "\n")
    elif arguments.kind == "clear":
        control.clear()
    else:
        attributes = {name: getattr(arguments, name) for name in _attributes() if getattr(arguments, name) is not None}
        control.fault(arguments.kind, **attributes)


def _clock(arguments: argparse.Namespace, _: list[str]) -> None:
    control = _control(arguments)
    if arguments.time == "reset":
        control.reset_clock()
    elif arguments.time:
        sys.stderr.write(f"{_moved(control, datetime.fromisoformat(arguments.time), wait=arguments.wait)}\n")
    sys.stdout.write(f"{control.clock().isoformat()}\n")


def _moved(control: Control, when: datetime, *, wait: bool) -> str:
    """Moves the clock; says which launchers come, and waits until they have left if `wait`."""
    before = _launchers(control)
    control.move_clock(when)
    come = sorted(group for group, machines in _launchers(control).items() if machines > before.get(group, 0))
    if not come:
        working = sorted(group for group, machines in before.items() if machines)
        return f"no launcher comes: {working[0]} has one that still works" if working else "no launcher comes"
    while wait and any(_launchers(control)[group] for group in come):
        time.sleep(_POLL_S)
    return f"a launcher of {', '.join(come)} {'came, and has left' if wait else 'comes'}"


def _launchers(control: Control) -> dict[str, int]:
    """The groups of launchers, each with the number of machines that it has or shall have."""
    state = control.state()
    running = [machine["group"] for machine in state["machines"]]
    return {
        group: max(int(size), running.count(group))
        for group, size in state["groups"].items()
        if group.endswith(LAUNCHER)
    }


_COMMANDS = {"up": _up, "down": _down, "env": _env, "state": _state, "fault": _fault, "clock": _clock}


def _schedule(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The schedule of the target that `up` makes; None if no model is named."""
    models = [name for name in arguments.models.split(",") if name]
    return {"time": arguments.time, "time_zone": arguments.time_zone, "models": models} if models else None


def _control(arguments: argparse.Namespace) -> Control:
    return Control(background.environment(arguments.folder)["CLOUDLSTM_EMULATOR_URL"])


def _print_exports(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


def _attributes() -> dict[str, type]:
    """Returns the attributes of a fault that have an option, with their types."""
    kinds = {"int": int, "float": float, "str": str}
    return {
        each.name: kinds[str(each.type).partition(" ")[0]]
        for each in dataclasses.fields(Fault)
        if each.name not in ("kind", "id", "began")
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localstack", description="An emulated cloud on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--folder",
        type=lambda text: Path(text).resolve(),
        default=background.FOLDER.resolve(),
        help="where the cloud keeps its files; each folder has one cloud (default: .localstack)",
    )
    up = commands.add_parser("up", parents=[shared], help="start the cloud in the background and print its environment")
    up.add_argument("--cloud", choices=CLOUDS, default="aws", help="the cloud to emulate (default: aws)")
    up.add_argument("--target", type=Path, help="also make a target and write its document to this file")
    up.add_argument("--name", default="emulated", help="name of the target")
    up.add_argument("--pyspark", help="version of pyspark on the cluster's nodes (default: the one installed here)")
    up.add_argument("--trainer-python", type=Path, default=Path(sys.executable), help="interpreter of the trainers")
    up.add_argument(
        "--wheelhouse", action="store_true", help="trainers of the target install Python and packages from the bucket"
    )
    up.add_argument(
        "--models", default="", help="models of the target's schedule, with commas; without it there is none"
    )
    up.add_argument(
        "--time", default="30 18 * * 1-5", help="when a launcher comes, five fields of cron (30 18 * * 1-5)"
    )
    up.add_argument("--time-zone", default="America/New_York", help="time zone of --time (America/New_York)")
    up.add_argument("--log-delay", type=float, default=0.0, help="seconds until a step's logs are in the bucket")
    up.add_argument(
        "--node-env", action="append", default=[], metavar="NAME=VALUE", help="environment variable for every node"
    )
    for server in ("storage", "services", "control"):
        up.add_argument(f"--{server}-port", type=int, default=0, help="fixed port (default: any free one)")
    up.add_argument("--foreground", action="store_true", help="run until interrupted, print nothing")
    commands.add_parser("down", parents=[shared], help="end the cloud and print commands that unset its environment")
    env = commands.add_parser("env", parents=[shared], help="print the environment again")
    env.add_argument(
        "--terraform",
        action="store_true",
        help="print Terraform's instead: S3 where buckets take all settings, and values of the root's variables",
    )
    commands.add_parser("state", parents=[shared], help="print services, steps and machines as JSON")
    meanings = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
    fault = commands.add_parser("fault", parents=[shared], help="make something fail", description=meanings)
    fault.add_argument("kind", choices=[*KINDS, "list", "clear"])
    for name, kind in _attributes().items():
        fault.add_argument(f"--{name.replace('_', '-')}", dest=name, type=kind)
    clock = commands.add_parser("clock", parents=[shared], help="print or move the time of schedules")
    clock.add_argument(
        "time", nargs="?", help="when, such as 2024-06-28T18:30:00-04:00; reset: with this machine's clock again"
    )
    clock.add_argument("--wait", action="store_true", help="wait until the launchers that come then have left")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
