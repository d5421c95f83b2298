"""The emulator's command line: `python -m localstack up`, `down`, `env`, `state`, `fault`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from pathlib import Path

from localstack import background
from localstack.cloud import CLOUDS, Options
from localstack.server.control import Control
from localstack.server.faults import KINDS, Fault


def main(words: list[str]) -> int:
    """Does what the words say; 0 when it is done, 1 when it could not be, 2 for wrong words."""
    asked = _parser().parse_args(words)
    try:
        _VERBS[asked.verb](asked, words)
    except (background.NotRunningError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _up(asked: argparse.Namespace, words: list[str]) -> None:
    if asked.foreground:
        options = Options(
            cloud=asked.cloud,
            pyspark=asked.pyspark,
            trainer_python=asked.trainer_python,
            log_delay_s=asked.log_delay,
            node_environment=dict(setting.split("=", 1) for setting in asked.node_env),
            storage_port=asked.storage_port,
            services_port=asked.services_port,
            control_port=asked.control_port,
        )
        background.hold(asked.folder, options, asked.name if asked.target else "", asked.target)
    else:
        exported = background.start(asked.folder, words[1:])
        _print_exports(exported)
        sys.stderr.write(f"the cloud is up; its logs are in {asked.folder}\n")
        sys.stderr.write('end it by eval "$(make -s cloud-down)" or eval "$(python -m localstack down)"\n')
        if exposed := Control(exported["CLOUDLSTM_EMULATOR_URL"]).state()["exposed"]:
            sys.stderr.write(f"{exposed}\n")


def _down(asked: argparse.Namespace, _: list[str]) -> None:
    exported = background.written(asked.folder)
    try:
        background.stop(asked.folder)
    finally:
        for name in exported:
            sys.stdout.write(f"unset {name}\n")
    sys.stderr.write(f"the cloud of {asked.folder} has ended\n")


def _env(asked: argparse.Namespace, _: list[str]) -> None:
    _print_exports(background.environment(asked.folder))


def _state(asked: argparse.Namespace, _: list[str]) -> None:
    sys.stdout.write(json.dumps(_control(asked).state(), indent=1) + "\n")


def _fault(asked: argparse.Namespace, _: list[str]) -> None:
    control = _control(asked)
    if asked.kind == "list":
        sys.stdout.write(json.dumps(control.faults(), indent=1) + "\n")
    elif asked.kind == "clear":
        control.clear()
    else:
        given = {name: getattr(asked, name) for name in _attributes() if getattr(asked, name) is not None}
        control.fault(asked.kind, **given)


_VERBS = {"up": _up, "down": _down, "env": _env, "state": _state, "fault": _fault}


def _control(asked: argparse.Namespace) -> Control:
    return Control(background.environment(asked.folder)["CLOUDLSTM_EMULATOR_URL"])


def _print_exports(variables: dict[str, str]) -> None:
    for name, value in variables.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")


def _attributes() -> dict[str, type]:
    """The attributes of a fault that can be asked for, and the type of each."""
    kinds = {"int": int, "float": float, "str": str}
    return {
        each.name: kinds[str(each.type).partition(" ")[0]]
        for each in dataclasses.fields(Fault)
        if each.name not in ("kind", "id", "began")
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localstack", description="A cloud in a box.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--folder", type=lambda text: Path(text).resolve(), default=Path(".localstack").resolve())
    up = verbs.add_parser("up", parents=[shared], help="start it in the background and print its environment")
    up.add_argument("--cloud", choices=CLOUDS, default="aws", help="which cloud it is to be (default: aws)")
    up.add_argument("--target", type=Path, help="make a target as well and write its document to this file")
    up.add_argument("--name", default="emulated", help="what the target is called")
    up.add_argument("--pyspark", help="version of pyspark on the cluster's nodes (default: the one installed here)")
    up.add_argument("--trainer-python", type=Path, default=Path(sys.executable), help="interpreter of the trainers")
    up.add_argument("--log-delay", type=float, default=0.0, help="seconds until a step's logs reach the bucket")
    up.add_argument("--node-env", action="append", default=[], metavar="NAME=VALUE", help="variable for every node")
    for server in ("storage", "services", "control"):
        up.add_argument(f"--{server}-port", type=int, default=0, help="fixed port (default: any free one)")
    up.add_argument("--foreground", action="store_true", help="stay until interrupted, print nothing")
    verbs.add_parser("down", parents=[shared], help="end it and print what unsets its environment")
    verbs.add_parser("env", parents=[shared], help="print its environment again")
    verbs.add_parser("state", parents=[shared], help="tell what is going on, as JSON")
    told = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
    fault = verbs.add_parser("fault", parents=[shared], help="make something go wrong", description=told)
    fault.add_argument("kind", choices=[*KINDS, "list", "clear"])
    for name, kind in _attributes().items():
        fault.add_argument(f"--{name.replace('_', '-')}", dest=name, type=kind)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
