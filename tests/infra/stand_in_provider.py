"""Starts a fake Google Cloud and the providers in front of it, so that Terraform needs neither network nor account.

Google's provider is replaced by one with its schema, hashicorp/time by one that moves the cloud's clock. So Terraform
finds every argument, block and attribute that the provider does not have, plans, applies and destroys; the cloud
refuses what Google refuses (see google_cloud/). What the provider itself checks beyond its schema is not checked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from infra.google_cloud.schema import FILE
from infra.google_cloud.serve import GOOGLE

SCHEMA = FILE
ADDRESS = GOOGLE


class GoogleCloud:
    """A fake Google Cloud in a process of its own, during the `with` block.

    Attributes:
        environment: The variables by which Terraform finds its providers.
    """

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infra.google_cloud.serve"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3]))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        reach = self._process.stdout.readline().strip()
        assert reach, "the fake cloud did not start"
        self.environment = {"TF_REATTACH_PROVIDERS": reach}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, name: str, *arguments: Any) -> Any:
        """The answer of a method of the world."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["value"]
