"""The command line: python-fire turns words into a call of a verb, and `main` carries out what the verb returned.

Fire calls a function before it notices that a flag is mistyped. A verb therefore does nothing: it returns a `Deferred`
that holds the work, and only when Fire has come back without complaint is the work done.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr

from cloudlstm.errors import CloudLSTMError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status: 0 fine or nothing to do, 1 our failure, 2 usage."""
    import fire
    from fire.core import FireExit

    from cloudlstm.cli import verbs

    words = [_spelled(word) for word in (sys.argv[1:] if argv is None else argv)] or ["--help"]
    helped = bool({"--help", "-h"} & set(words))
    if helped:
        words = [*(word for word in words if word not in ("--help", "-h", "--")), "--", "--help"]
    os.environ.setdefault("PAGER", "cat")  # help belongs on the terminal, not in a pager
    try:
        with redirect_stderr(sys.stdout) if helped else nullcontext():  # asked for, help is output and no complaint
            deferred = fire.Fire(verbs.VERBS, command=words, name="cloudlstm", serialize=lambda _: None)
        return deferred._work() if isinstance(deferred, verbs.Deferred) else 0
    except FireExit as ended:
        return int(ended.code or 0)
    except CloudLSTMError as error:
        print(f"cloudlstm: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        print("\ncloudlstm: interrupted; submit again to go on where it stopped", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:  # `cloudlstm logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _spelled(word: str) -> str:
    """A word as Fire should see it: Fire would take the word after a bare switch for the switch's value."""
    if word in ("--dry-run", "--dry_run", "--follow"):
        return f"{word}=True"
    return "version" if word == "--version" else word


def entry() -> None:
    """The console script."""
    sys.exit(main())
