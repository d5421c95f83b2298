"""A machine of stubs: the programs that bootstrap/ calls; each records its calls."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

BOOTSTRAP = Path(__file__).parents[2] / "bootstrap"
BUCKETS = {"aws": "s3://mine", "gcp": "gs://mine"}
GROUP = "mine-trainers"

# Each stub writes its name and arguments first; files in $STUBS change its behaviour.
_HEAD = """#!/usr/bin/env bash
echo "${0##*/} $*" >>"$STUBS/calls"
if [[ -e $STUBS/${0##*/}.fails ]]; then
  read -r left words <"$STUBS/${0##*/}.fails"
  if ((left > 0)) && [[ $* == *$words* ]]; then
    echo "$((left - 1)) $words" >"$STUBS/${0##*/}.fails"
    echo "${0##*/} fails as the test demands" >&2
    exit 1
  fi
fi
"""
_STUBS = {
    "aws": """
if [[ $1 == s3 ]]; then
  from=${6/#s3:\\/\\/mine/$STUBS/bucket} to=${7/#s3:\\/\\/mine/$STUBS/bucket}
  mkdir -p "$(dirname "$to")"
  cp "$from" "$to"
elif [[ -e $STUBS/no-group ]]; then
  exit 255
fi
""",
    "curl": """
object=${8/#https:\\/\\/storage.googleapis.com\\/mine/$STUBS/bucket}
bearer() { grep -qx 'Authorization: Bearer secret'; }
case "$*" in
  *X-aws-ec2-metadata-token-ttl-seconds*) echo -n secret ;;
  *'X-aws-ec2-metadata-token: secret'*instance-id) echo -n i-0123 ;;
  *'X-aws-ec2-metadata-token: secret'*local-ipv4) echo -n 10.0.0.4 ;;
  *'Metadata-Flavor: Google'*instance/name) echo -n i-0123 ;;
  *'Metadata-Flavor: Google'*/0/ip) echo -n 10.0.0.4 ;;
  *'Metadata-Flavor: Google'*instance/zone) echo -n projects/42/zones/europe-west4-b ;;
  *'Metadata-Flavor: Google'*project/project-id) echo -n my-project ;;
  *'Metadata-Flavor: Google'*/token) echo '{"access_token": "secret", "expires_in": 3599}' ;;
  *' -H @- '*/instanceGroupManagers/*/deleteInstances) bearer && [[ ! -e $STUBS/no-group ]] ;;
  *' -H @- -o '*) bearer && cp "$object" "$7" ;;
  *' -H @- -T '*) bearer && mkdir -p "$(dirname "$object")" && cp "$7" "$object" ;;
  *) exit 22 ;;
esac
""",
    "journalctl": '[[ $1 == --sync ]] || cat "$STUBS/journal"\n',
    "nvidia-modprobe": 'mkdir -p "$CLOUDLSTM_PREFIX/dev"; ln -sf /dev/null "$CLOUDLSTM_PREFIX/dev/nvidia-uvm"\n',
    "nvidia-smi": "echo 'NVIDIA T4, 595.1'\n",
    "shutdown": "",
    "sleep": '[[ ! -e $STUBS/on-sleep ]] || bash "$STUBS/on-sleep"\n',
    "systemctl": "",
}

_UV = """
if [[ $1 == venv ]]; then
  folder=${*: -1}
  mkdir -p "$folder/bin"
  printf '#!/bin/sh\\n' >"$folder/bin/python"
  chmod +x "$folder/bin/python"
fi
"""
"""The uv in the wheelhouse."""


class Machine:
    """A machine of a cloud below `folder`, with an object store in `folder/stubs/bucket`."""

    def __init__(self, folder: Path, *, cloud: str = "aws", gpu: str = "t4") -> None:
        self.cloud, self.bucket_uri = cloud, BUCKETS[cloud]
        self.prefix, self.stubs = folder / "root", folder / "stubs"
        self.base, self.units = self.prefix / "opt/cloudlstm", self.prefix / "etc/systemd/system"
        self.bucket = self.stubs / "bucket"
        self.programs = folder / "bin"
        self.programs.mkdir(parents=True)
        self.bucket.mkdir(parents=True)
        for name, body in _STUBS.items():
            self.program(name, body)
        # Here is no libcuda.so.1, unless a test brings one.
        self.program(
            "python3", f'[[ $* != *libcuda* || -n ${{LD_LIBRARY_PATH:-}} ]] || exit 0\nexec "{sys.executable}" "$@"\n'
        )
        self.uv = _UV
        self.environment = {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "STUBS": str(self.stubs),
            "CLOUDLSTM_PREFIX": str(self.prefix),
            "CLOUDLSTM_CLOUD": cloud,
            "CLOUDLSTM_BUCKET_URI": self.bucket_uri,
            "CLOUDLSTM_GROUP": GROUP,
            "CLOUDLSTM_REGION": "eu-central-1",
            "CLOUDLSTM_MAX_HOURS": "12",
            "CLOUDLSTM_GPU": gpu,
        }

    def program(self, name: str, body: str) -> None:
        """Puts a stub on PATH."""
        path = self.programs / name
        path.write_text(_HEAD + body)
        path.chmod(0o755)

    def run(self, *words: str, script: Path = BOOTSTRAP / "trainer.sh") -> subprocess.CompletedProcess[str]:
        """Runs the script to its end."""
        command = ["bash", str(script), *words]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=120, cwd=self.stubs
        )

    def ended(self, result: str) -> subprocess.CompletedProcess[str]:
        """Runs what systemd runs when the agent has ended, with its own word for how."""
        self.environment |= {
            "SERVICE_RESULT": result,
            "EXIT_CODE": "exited",
            "EXIT_STATUS": "1",
            "INVOCATION_ID": "f00d",
        }
        return self.run("ended", script=self.base / "trainer.sh")

    def assign(self, *, with_own: bool = False, **changes: Any) -> dict[str, Any]:
        """Puts an assignment and its objects into the bucket; `with_own`: also packages of the user."""
        named: dict[str, dict[str, str]] = {}
        contents = {
            "cloudlstm.zip": b"package",
            "agent.py": b"agent",
            "train.py": b"train",
            "own.zip": b"own",
            "wheelhouse.tar": self.wheelhouse(),
        }
        for name, content in contents.items():
            sha256 = hashlib.sha256(content).hexdigest()
            (self.bucket / "code" / sha256).mkdir(parents=True, exist_ok=True)
            (self.bucket / "code" / sha256 / name).write_bytes(content)
            named[name] = {"uri": f"{self.bucket_uri}/code/{sha256}/{name}", "sha256": sha256}
        assignment = {
            "version": 1, "run": f"{self.bucket_uri}/runs/one", "attempt": 1, "lease": "token", "workers": 2,
            "python": "3.11", "port": 8470, "deadline": time.time() + 3600.5, "accelerator": "cuda",
            "package": named["cloudlstm.zip"], "wheelhouse": named["wheelhouse.tar"],
            "jobs": {"agent": named["agent.py"], "train": named["train.py"]},
            **({"own": named["own.zip"]} if with_own else {}),
        } | changes  # fmt: skip
        path = self.bucket / "trainers" / GROUP / "assignment.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(assignment))
        return assignment

    def wheelhouse(self) -> bytes:
        """An archive as of targets/bundle/wheelhouse.py, with a stub as uv."""
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as archive:
            contents = {
                "python/bin/python3.11": "",
                "requirements.txt": "tf",
                "uv": _HEAD + self.uv,
                "wheels/tf.whl": "",
            }
            for name, content in [*contents.items(), ("uv", _HEAD + self.uv)]:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content.encode()), 0o755
                archive.addfile(entry, io.BytesIO(content.encode()))
        return file.getvalue()

    def calls(self, *beginning: str) -> list[str]:
        """The recorded calls that begin with these words, in order."""
        path = self.stubs / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(" ".join(beginning))]

    def departures(self) -> list[str]:
        """The requests to leave the group, in order."""
        return [call for call in self.calls() if call.startswith("aws autoscaling") or call.endswith("deleteInstances")]

    def downloads(self) -> list[str]:
        """The downloads of objects, in order."""
        return [
            call for call in self.calls() if call.startswith("aws s3 cp") or ("-H @- -o /" in call and "/mine/" in call)
        ]

    def fail(self, program: str, times: int, *, words: str = "") -> None:
        """Makes the next calls of a program with these words fail."""
        (self.stubs / f"{program}.fails").write_text(f"{times} {words}\n")

    def files(self) -> dict[Path, bytes]:
        """All files that the script wrote, without its log."""
        return {path: path.read_bytes() for path in self.prefix.rglob("*") if path.is_file() and path.suffix != ".log"}

    @property
    def deadline(self) -> int:
        return int((self.base / "deadline").read_text())

    @property
    def log(self) -> str:
        return (self.base / "setup.log").read_text()

    def log_in_bucket(self) -> str:
        """The log that the machine stored after a failure."""
        return (self.bucket / "trainers" / GROUP / "machines" / "i-0123.log").read_text()


def settings_of(path: Path) -> dict[str, str]:
    """The NAME=VALUE lines of a file."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)


def program_of_this_machine(name: str) -> str | None:
    """A program beside this Python or on PATH."""
    for folder in [str(Path(sys.executable).parent), *os.environ.get("PATH", "").split(os.pathsep)]:
        if (path := Path(folder) / name).exists():
            return str(path)
    return None
