"""Stand-ins for the programs that bootstrap/trainer.sh calls: they lead to the emulated cloud, and to nothing else.

Usage: python -m localstack.machines.commands NAME ARGUMENT...; the environment is that of the machine (machine.py).

    aws        copies objects, and takes this machine out of its group
    curl       answers for the metadata service; copies objects; sends requests to Compute Engine
    systemctl  gives orders to the machine's units (units.py); journalctl shows what they wrote
    shutdown   ends the machine

Any other URL is left to the real curl, which finds no way out of the machine's network.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import urllib.request
from pathlib import Path

from localstack.machines import units

FOLDER = "EMULATOR_UNITS"
"""Variable with the folder of the machine's orders and journals."""

ADDRESS = "CLOUDLSTM_ADDRESS"
"""The variable with the machine's address."""

ID = "EMULATOR_MACHINE"
"""The variable that identifies the machine: its id on AWS, its name on Google Cloud."""

INSTANCE_URL, SERVICES_URL = "EMULATOR_INSTANCE_URL", "EMULATOR_SERVICES_URL"
"""Variables with the URLs of the machine and of the services on Google Cloud."""

NAMES = ("aws", "curl", "journalctl", "shutdown", "systemctl")

_TOKEN = "emulated"  # noqa: S105 - it opens nothing
_PLACE = re.compile(r"/projects/([^/]+)/zones/([^/]+)/instances/")


def write(folder: Path) -> None:
    """Puts all stand-ins into a folder, as programs."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = ":".join(filter(None, sys.path))
    for name in NAMES:
        path = folder / name
        call = f'exec "{sys.executable}" -m localstack.machines.commands {name} "$@"'
        path.write_text(f'#!/bin/sh\nPYTHONPATH="{paths}" {call}\n')
        path.chmod(0o755)


def main(name: str, words: list[str]) -> int:
    """Runs a stand-in and returns its exit status."""
    try:
        found: int = _PROGRAMS[name](words)
    except Exception as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    return found


def _aws(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="aws")
    parser.add_argument("service")
    parser.add_argument("action")
    parser.add_argument("places", nargs="*")
    parser.add_argument("--region", required=True)
    parser.add_argument("--only-show-errors", action="store_true")
    parser.add_argument("--instance-id")
    parser.add_argument("--should-decrement-desired-capacity", action="store_true")
    call = parser.parse_intermixed_args(words)
    if (call.service, call.action) == ("s3", "cp"):
        _copy(*call.places)
        return 0
    if (call.service, call.action) == ("autoscaling", "terminate-instance-in-auto-scaling-group"):
        import boto3

        boto3.session.Session(region_name=call.region).client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=call.instance_id, ShouldDecrementDesiredCapacity=call.should_decrement_desired_capacity
        )
        return 0
    raise ValueError(f"no stand-in for {call.service} {call.action}")


def _curl(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("url")
    parser.add_argument("-fsS", action="store_true", required=True)
    parser.add_argument("--retry")
    parser.add_argument("-X", dest="method", default="GET")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-o", dest="to")
    parser.add_argument("-T", dest="source")
    parser.add_argument("-d", dest="data")
    call = parser.parse_intermixed_args(words)
    lines = [line for each in call.headers for line in ([each] if each != "@-" else sys.stdin.read().splitlines())]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    bearer = headers.get("authorization") == f"Bearer {_TOKEN}"
    service, _, path = call.url.partition("://")[2].partition("/")
    if service == "169.254.169.254":
        answer = _aws_metadata(path, call.method, headers)
    elif service == "metadata.google.internal":
        answer = _google_metadata(path, headers)
    elif service == "storage.googleapis.com" and bearer:
        answer = _copy(f"gs://{path}", call.to) if call.to else _copy(call.source, f"gs://{path}")
    elif service == "compute.googleapis.com" and bearer:
        request = urllib.request.Request(
            f"{os.environ[SERVICES_URL]}/{path}", call.data.encode(), {"Content-Type": headers["content-type"]}
        )
        urllib.request.urlopen(request, timeout=20).close()
        answer = ""
    else:
        os.execv("/usr/bin/curl", ["curl", *words])
    sys.stdout.write(answer)
    return 0


def _aws_metadata(path: str, method: str, headers: dict[str, str]) -> str:
    if path == "latest/api/token" and method == "PUT" and "x-aws-ec2-metadata-token-ttl-seconds" in headers:
        return _TOKEN
    if headers.get("x-aws-ec2-metadata-token") != _TOKEN:
        raise ValueError("401: the request has no token")
    return {
        "latest/meta-data/instance-id": os.environ[ID],
        "latest/meta-data/local-ipv4": os.environ[ADDRESS],
    }[path]


def _google_metadata(path: str, headers: dict[str, str]) -> str:
    if headers.get("metadata-flavor") != "Google":
        raise ValueError("403: the request has no header Metadata-Flavor")
    place = _PLACE.search(os.environ[INSTANCE_URL])
    assert place
    return {
        "instance/name": os.environ[ID],
        "instance/network-interfaces/0/ip": os.environ[ADDRESS],
        "instance/zone": f"projects/1/zones/{place[2]}",
        "project/project-id": place[1],
        "instance/service-accounts/default/token": json.dumps({"access_token": _TOKEN, "expires_in": 3599}),
    }[path.removeprefix("computeMetadata/v1/")]


def _copy(source: str, target: str) -> str:
    """Copies an object to a file, or a file to an object."""
    from cloudlstm import storage

    if "://" in source:
        storage.download(source, Path(target).absolute())
    else:
        storage.upload(Path(source).absolute(), target)
    return ""


def _systemctl(words: list[str]) -> int:
    verb, *rest = words
    folder = Path(os.environ[FOLDER])
    unit = rest[-1] if rest else ""
    if verb == "enable" and rest[0] == "--now":
        units.active(folder, unit).touch()
        _order(folder, f"start {unit}")
    elif verb == "stop":
        _order(folder, f"stop {unit}")
    elif verb == "is-active":
        return 0 if units.active(folder, unit).exists() else 3
    elif verb == "is-system-running":
        sys.stdout.write("stopping\n" if units.stopping(folder).exists() else "running\n")
    elif verb != "daemon-reload":
        raise ValueError(f"no stand-in for {verb}")
    return 0


def _journalctl(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="journalctl")
    parser.add_argument("--sync", action="store_true")
    parser.add_argument("--lines", type=int)
    parser.add_argument("--no-pager", action="store_true")
    parser.add_argument("--output", choices=["cat"])
    parser.add_argument("matches", nargs="*")
    call = parser.parse_intermixed_args(words)
    if not call.sync:
        (invocation,) = {each.partition("=")[2] for each in call.matches if each != "+"}
        lines = units.journal(Path(os.environ[FOLDER]), invocation).read_text(errors="replace").splitlines()
        sys.stdout.writelines(f"{line}\n" for line in lines[-call.lines :])
    return 0


def _shutdown(_: list[str]) -> int:
    _order(Path(os.environ[FOLDER]), "shutdown machine")
    return 0


def _order(folder: Path, line: str) -> None:
    with units.orders(folder).open("a") as file:
        file.write(f"{line}\n")


_PROGRAMS = {"aws": _aws, "curl": _curl, "journalctl": _journalctl, "shutdown": _shutdown, "systemctl": _systemctl}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
