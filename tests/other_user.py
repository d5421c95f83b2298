"""Runs code as another user of this machine: nobody."""

from __future__ import annotations

import os
import subprocess
import sys

from infra.terraform_runner import without

_BECOME = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"


def as_nobody(prepare: str, work: str, *words: str) -> str:
    """Runs `prepare` as this user, then `work` as nobody; returns the output.

    If this process may not become another user, skips the test; fails it if CLOUDLSTM_REQUIRE names other-user.
    """
    if os.geteuid() != 0:
        without("other-user", "only root can become another user")
    code = f"import sys\n{prepare}\n{_BECOME}\n{work}"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
