"""Control characters become visible escapes, wherever text of others is shown."""

from __future__ import annotations

import io
import sys
import time
import unicodedata

import pytest

from cloudlstm import cli, errors, storage
from cloudlstm.cli import doctor, logs
from cloudlstm.errors import CloudLSTMError, UsageError
from cloudlstm.runs.paths import RunPaths
from cloudlstm.text.printable import printable, shortened

OBEYED = [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
HOSTILE = "A\x1b[2J\x07\u202eB\x9b31m\u2066\ud800C"
SHOWN = r"A\x1b[2J\x07\u202eB\x9b31m\u2066\ud800C"


@pytest.mark.parametrize("code", [*OBEYED, 0xD800, 0xDBFF, 0xDC00, 0xDFFF], ids=hex)
def test_control_characters_become_escapes(code: int) -> None:
    shown = printable(f"a{chr(code)}b")
    assert shown.isprintable()
    assert shown[0] + shown[-1] == "ab"
    assert shown[1:-1].startswith("\\")
    assert eval(f'"{shown}"') == f"a{chr(code)}b"


@pytest.mark.parametrize("text", ["", "plain", "BRK/B", "é ü 台積電 한국 ₿ 🚀", "עברית", "a\u200db", "\\x1b"])
def test_other_characters_stay(text: str) -> None:
    assert printable(text) == text
    assert printable(text, lines=True) == text


def test_every_control_character_that_unicode_knows_is_among_them() -> None:
    known = {code for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Zl", "Zp", "Cs")}
    assert not [hex(code) for code in known if printable(chr(code)) == chr(code)]
    turning = {code for code in range(0x110000) if unicodedata.bidirectional(chr(code)) in
               ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")}  # fmt: skip
    assert not [hex(code) for code in turning if printable(chr(code)) == chr(code)]


def test_lines_and_tabs_stay_only_where_there_may_be_lines() -> None:
    assert printable("a\n\tb\r\n") == r"a\n\tb\r\n"
    assert printable("a\n\tb\r\n", lines=True) == "a\n\tb\\r\n"
    assert printable("a\x1b\n", lines=True) == "a\\x1b\n"


def test_a_text_is_shortened_to_what_fits() -> None:
    assert [shortened("abcdef", most) for most in (7, 6, 5, 1)] == ["abcdef", "abcdef", "abcd…", "…"]


def test_an_error_is_one_printable_line_and_keeps_its_message() -> None:
    error = UsageError(f"no {HOSTILE}\nnothing", hint="say\r it")
    assert str(error) == rf"no {SHOWN}\nnothing (try: say\r it)"
    assert error.message == f"no {HOSTILE}\nnothing"
    assert str(errors.from_record(errors.to_record(error))) == str(error)


def test_another_exception_becomes_one_line_of_bounded_length() -> None:
    record = errors.to_record(RuntimeError("first\n\tat org.apache\n" * 1000))
    assert record["message"].startswith("RuntimeError: first at org.apache first")
    assert len(record["message"]) == 1000


def test_the_command_prints_it_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def hostile() -> None:
        raise CloudLSTMError(HOSTILE)

    monkeypatch.setattr("cloudlstm.cli.commands.COMMANDS", {"version": hostile})
    assert cli.main(["version"]) == 1
    assert capsys.readouterr().err == f"cloudlstm: {SHOWN}\n"


def test_doctor_prints_it_so(capsys: pytest.CaptureFixture[str]) -> None:
    def hostile() -> str:
        raise CloudLSTMError(HOSTILE, hint=HOSTILE)

    assert doctor._run_checks({"check": hostile}, as_json=False) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(f"  {SHOWN}")
    assert second.endswith(f"fix: {SHOWN}")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("out", [io.StringIO, Terminal], ids=["pipe", "terminal"])
def test_a_log_cannot_control_the_terminal_of_its_reader(
    monkeypatch: pytest.MonkeyPatch, out: type[io.StringIO]
) -> None:
    paths = RunPaths(f"memory://run-{time.monotonic_ns()}")
    line = "2025-01-02T03:04:05+00:00 ERROR a\tb \x1b]0;owned\x07 \u202e"
    storage.write(paths.log("train", "worker-0", 1), f"{line}\n".encode())
    written = out()
    monkeypatch.setattr(sys, "stdout", written)
    assert logs.show_logs(paths, follow=False) == 0
    text = written.getvalue()
    assert r"\x1b]0;owned\x07 \u202e" in text
    assert "train/worker-0" in text
    assert not {"\x07", "\u202e"} & set(text)
    assert "\x1b]" not in text
