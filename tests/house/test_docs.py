"""The documents say what the code does: reference, both READMEs, and every command in them."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path

import pytest

from cloudlstm.cli import main, plans
from cloudlstm.cli.commands import COMMANDS
from cloudlstm.config import parse, reference
from cloudlstm.config.models import RunConfig

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / "docs"
PAGES = [REPO / "README.md", REPO / "README.zh-TW.md", DOCS / "quickstart.md", DOCS / "clouds.md", DOCS / "errors.md"]
GAP = "…"


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_configuration_reference_is_the_models() -> None:
    assert (DOCS / "configuration.md").read_text() == reference.text(), "run `make docs`"


def test_every_key_is_in_the_reference_with_a_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", reference.text(), re.MULTILINE)
    keys = list(leaf_keys(RunConfig))
    assert [name for name, _ in rows] == keys
    assert all(meaning.strip() for _, meaning in rows)


def leaf_keys(model: type) -> list[str]:
    """Keys in the order of the page: depth first, a section's own keys before its subsections."""
    fields = model.model_fields  # type: ignore[attr-defined]
    inner = {name: field.annotation for name, field in fields.items() if hasattr(field.annotation, "model_fields")}
    return [name for name in fields if name not in inner] + [key for kind in inner.values() for key in leaf_keys(kind)]


def test_the_examples_of_the_reference_are_accepted() -> None:
    words = re.findall(r"^or on the command line: `'?(.*?)'?`$", reference.text(), re.MULTILINE)
    assert len(words) >= 10
    for word in words:
        parse({"market": {"source": "files", "path": "x"}}, [word])


def test_both_readmes_have_the_same_commands_and_numbers() -> None:
    english, chinese = (REPO / "README.md", REPO / "README.zh-TW.md")
    assert [commands(block) for block in blocks(english)] == [commands(block) for block in blocks(chinese)]
    tables = [re.findall(r"^\|.*\|$", page.read_text(), re.MULTILINE) for page in (english, chinese)]
    numbers = [[re.findall(r"\d[\d.,]*", row) for row in table] for table in tables]
    assert numbers[0] == numbers[1]


def commands(block: str) -> list[str]:
    """Lines of a block without their comments, which are translated."""
    return [line.partition("#")[0].rstrip() for line in block.splitlines()]


def typed() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        lines = [line for block in blocks(page) for line in block.splitlines()]
        lines += re.findall(r"(?<=`)cloudlstm [^`]*", "\n".join(table_rows(page)))
        for line in lines:
            text = line.partition(" #")[0].strip().removeprefix("$ ").removeprefix(".venv/bin/")
            if text.startswith("cloudlstm ") and GAP not in text:
                found.append((page.name, text))
    return found


def table_rows(page: Path) -> list[str]:
    """The rows of the tables of what to type; the catalogue of errors quotes messages as well."""
    return [] if page.name == "errors.md" else re.findall(r"^\|.*\|$", page.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("page", "command"), typed())
def test_every_command_in_the_documents_is_understood(
    page: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs each submit with --dry-run. Of the other commands it checks the names of arguments only."""
    monkeypatch.chdir(REPO)
    monkeypatch.setenv("CLOUDLSTM_ROOT", str(tmp_path))
    monkeypatch.setattr(plans, "look", lambda *_, **__: None)  # the files of the examples are not here
    words = shlex.split(command)[1:]
    assert words[0] in COMMANDS or words[0] == "--help"
    named = [word for word in words if word.startswith("--target=")]
    if named:  # a target is looked for at once, and this machine has none
        assert "target" in inspect.signature(COMMANDS[words[0]]).parameters
        words.remove(named[0])
    if words[0] == "submit" and not named:
        (tmp_path / "mine.toml").write_text('name = "mine"\n')
        words = [word.replace("mine.toml", str(tmp_path / "mine.toml")) for word in words]
        assert main([*words, "--dry-run"]) == 0, capsys.readouterr().err
    elif words[0] != "--help":
        main([*words, "--no-such-flag"])
        message = capsys.readouterr().err
        assert "no-such-flag" in message or (named and "--target" in message), message


EVERY_PAGE = sorted(
    [*REPO.glob("*.md"), *DOCS.glob("*.md"), *REPO.glob("infra/terraform/**/README.md"), REPO / "examples/README.md"]
)


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(REPO)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


def test_the_index_lists_every_page() -> None:
    index = (DOCS / "index.md").read_text()
    missing = [page.name for page in DOCS.glob("*.md") if page.name != "index.md" and f"]({page.name})" not in index]
    assert not missing, f"docs/index.md lacks {missing}"


def test_the_readmes_are_short() -> None:
    for page in (REPO / "README.md", REPO / "README.zh-TW.md"):
        assert len(page.read_text().splitlines()) < 120, page.name


def test_files_that_contributing_names_exist() -> None:
    text = (REPO / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`((?:src|tests|docs|bootstrap|localstack|infra|benchmarks)/[\w./-]+)`", text)
    assert len(paths) > 20
    for path in set(paths) - {"src/cloudlstm/"}:
        assert (REPO / path.replace("src/", "src/cloudlstm/", 1)).exists(), path


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(REPO)))
def test_modules_that_pages_name_exist(page: Path) -> None:
    folders = (REPO, REPO / "src", REPO / "src/cloudlstm", REPO / "tests", page.parent)
    for name in re.findall(r"`([a-z_]+/[a-z_./]+\.py)`", page.read_text()):
        path = name.removeprefix("src/") if page.name == "CONTRIBUTING.md" else name
        assert any((folder / path).exists() for folder in folders), name
