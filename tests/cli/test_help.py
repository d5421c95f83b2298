"""Help texts, and the words that are proposed for mistyped ones."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cloudlstm.cli import main
from cloudlstm.cli.commands import COMMANDS
from cloudlstm.cli.mistyped import _MEANT


def test_the_overview_has_all_commands_and_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    named = [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert named == list(COMMANDS)


@pytest.mark.parametrize("words", [["--help"], ["runs", "--help"], ["submit", "--help"]])
def test_a_reader_that_closes_the_pipe_of_a_help_is_no_error(words: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cloudlstm", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (["ls"], "cloudlstm runs"),
        (["ps"], "cloudlstm runs"),
        (["list"], "cloudlstm runs"),
        (["stop"], "cloudlstm cancel"),
        (["kill"], "cloudlstm cancel"),
        (["rm"], "cloudlstm delete"),
        (["train"], "cloudlstm submit"),
        (["run"], "cloudlstm submit"),
        (["start"], "cloudlstm submit"),
        (["LS"], "cloudlstm runs"),
        (["SUBMIT"], "cloudlstm submit"),
        (["sumbit"], "cloudlstm submit"),
        (["xyzzy"], "cloudlstm --help"),
        (["--config=x"], "cloudlstm --help"),
        (["epochs=3"], "cloudlstm submit epochs=3"),
        (["submit", "--epochs=3"], "train.epochs=3"),
        (["submit", "--epochs"], "train.epochs=…"),
        (["submit", "--train.epochs=3"], "train.epochs=3"),
        (["submit", "--batch-windows=64"], "train.batch_windows=64"),
        (["submit", "--wokers=2"], "train.workers=2"),
        (["submit", "--seed=3"], "market.synthetic.seed=3 or train.seed=3"),
        (["submit", "--name=foo"], "name=foo"),
        (["submit", "--gpus"], "cloudlstm submit --help"),
        (["submit", "--horizon=3"], "dataset.horizon_bars=3"),
        (["submit", "--force"], "cloudlstm submit --help"),
        (["submit", "--env=x"], "cloudlstm submit --help"),
        (["submit", "--dryrun"], "--dry-run"),
        (["logs", "--epochs=3"], "cloudlstm logs --help"),
    ],
)
def test_a_mistyped_word_gets_the_one_that_is_meant(
    words: list[str], proposed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.endswith(f"(try: {proposed})\n")


def test_words_of_other_programs_mean_commands_that_exist() -> None:
    assert set(_MEANT) <= set(COMMANDS)
    words = [word for others in _MEANT.values() for word in others]
    assert len(words) == len(set(words))
    assert not set(words) & set(COMMANDS)
