"""Configurations: valid values, and all problems in one message."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from cloudlstm import storage
from cloudlstm.cli.plans import config_of, predict_plan
from cloudlstm.config import RunConfig, load, parse
from cloudlstm.config.overrides import words
from cloudlstm.config.problems import PATTERNS
from cloudlstm.errors import ConfigError
from cloudlstm.runs.manifest import Manifest
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.local.target import LocalTarget

SYNTHETIC = {"market": {"source": "synthetic"}}


def test_defaults_are_the_model_of_record() -> None:
    config = parse(SYNTHETIC)
    assert (config.dataset.window_bars, config.dataset.horizon_bars) == (50, 1)
    assert (config.model.units, config.model.dropout) == (128, 0.2)
    assert (config.market.start, config.market.end) == (dt.date(2010, 1, 1), dt.date(2024, 12, 31))


def test_overrides_change_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('name = "mine"\n[market]\nsource = "synthetic"\n[train]\nepochs = 9\n')
    words = ["train.epochs=3", "market.end=2020-06-30", "dataset.train_end=2015-12-31",
             "dataset.validation_end=2016-12-31", "universe.tickers=msft,aapl", "train.cache_dir=/tmp/a b"]  # fmt: skip
    config = load(str(path), words)
    assert config.name == "mine"
    assert config.train.epochs == 3
    assert config.market.end == dt.date(2020, 6, 30)
    assert config.universe.tickers == ("MSFT", "AAPL")
    assert config.train.cache_dir == "/tmp/a b"


def test_a_configuration_cannot_be_changed_afterwards() -> None:
    config = parse(SYNTHETIC)
    with pytest.raises(ValidationError, match="frozen"):
        config.train.epochs = 4  # type: ignore[misc]


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'train\.epoch', did you mean 'train\.epochs'"):
        parse(SYNTHETIC, ["train.epoch=3"])


def test_all_problems_come_at_once() -> None:
    words = ["train.epochs=-1", "modell.units=3", "market.end=2009-01-01", "clean.max_refused_fraction=7"]
    with pytest.raises(ConfigError) as caught:
        parse(SYNTHETIC, words)
    message = str(caught.value)
    for part in ("train.epochs", "'modell', did you mean 'model'", "2010-01-01 must be before end 2009-01-01",
                 "clean.max_refused_fraction"):  # fmt: skip
        assert part in message


def test_rules_between_keys_are_checked_although_a_key_is_wrong() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(SYNTHETIC, ["train.epochs=-1", "dataset.train_end=2023-06-30"])
    assert "train.epochs" in str(caught.value)
    assert "dates must be in order" in str(caught.value)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["market.start=2024-01-01", "market.end=2020-01-01"], "start 2024-01-01 must be before end 2020-01-01"),
        (["dataset.validation_end=2020-01-01"], "dates must be in order"),
        (["market.source=files"], "path must be set"),
        (["market.source=bloomberg"], "market.source"),
        (["universe.tickers=AA;PL"], "universe.tickers"),
        (["train.epochs"], "not a setting"),
        (["name=x", "name.epochs=3"], "goes through 'name'"),
        (["name=9lives"], "name"),
    ],
)
def test_invalid_values_are_rejected(words: list[str], part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(SYNTHETIC, words)
    assert part in str(caught.value)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load(str(tmp_path / "nowhere.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("[market\n")
    with pytest.raises(ConfigError, match=r"broken\.toml is not a TOML file"):
        load(str(broken))


def test_a_path_needs_the_source_files() -> None:
    with pytest.raises(ConfigError, match=r"set market\.source=files"):
        parse({}, ["market.path=bars.csv"])


def test_a_key_without_its_section_finds_it() -> None:
    with pytest.raises(ConfigError, match=r"'epochs', did you mean 'train\.epochs'"):
        parse(SYNTHETIC, ["epochs=1"])


def test_repeated_validation_invents_no_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(SYNTHETIC, ["market.start=2025-01-01"])
    assert "missing" not in str(caught.value)


def test_non_identity_settings_do_not_change_the_run_id() -> None:
    plain = parse({"market": {"source": "yahoo"}})
    words = ["market.yahoo.requests_per_minute=30", "train.max_restarts=9", "spark.driver_memory_mib=2048"]
    patient = parse({"market": {"source": "yahoo"}}, words)
    assert patient != plain
    assert patient.identity() == plain.identity()
    for word in ("train.seed=2", "train.workers=1", "market.end=2024-06-28", "name=other"):
        assert parse({"market": {"source": "yahoo"}}, [word]).identity() != plain.identity(), word


def test_a_file_that_cannot_be_a_configuration_is_not_read(tmp_path: Path) -> None:
    large, pipe = tmp_path / "large.toml", tmp_path / "pipe"
    large.write_text("# " + "x" * (1 << 20))
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match=f"large.toml has {(1 << 20) + 2} bytes, and at most {1 << 20} are read"):
        load(str(large))
    for path in ("/dev/zero", str(pipe)):
        with pytest.raises(ConfigError, match=f"no configuration file at {path}"):
            load(path)


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "x = " + "9" * 5000, "\udc80"])
def test_a_file_that_no_parser_accepts_is_not_toml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=r"odd\.toml is not a TOML file"):
        load(str(path))


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000])
def test_an_override_that_no_parser_accepts_is_text(text: str) -> None:
    with pytest.raises(ConfigError, match=r"train\.epochs must be a whole number"):
        parse({}, [f"train.epochs={text}"])


REMOTE = [
    "spark://10.0.0.1:7077",
    "yarn",
    "k8s://https://10.0.0.1",
    "mesos://x",
    "local-cluster[1,1,1024]",
    "local[2]x",
]


@pytest.mark.parametrize("master", REMOTE)
def test_a_master_on_another_machine_counts_only_where_it_is_typed(tmp_path: Path, master: str) -> None:
    """The driver unpickles the executors' answers, so a master from a foreign file could run code here."""
    path = tmp_path / "theirs.toml"
    path.write_text(f'[spark]\nmaster = "{master}"\n')
    with pytest.raises(ConfigError, match=r"theirs\.toml sets spark\.master to .*not on this machine.*type it: "):
        load(str(path))
    with pytest.raises(ConfigError, match=r"not on this machine"):
        load(str(path), ["train.epochs=3"])
    assert load(str(path), [f"spark.master={master}"]).spark.master == master
    assert load(str(path), ["spark.master=local[2]"]).spark.master == "local[2]"
    assert load(None, [f"spark.master={master}"]).spark.master == master


@pytest.mark.parametrize("master", ["local", "local[4]", "local[*]", "local[2,3]", "local[*, 1]"])
def test_a_master_of_this_machine_may_stand_in_a_file(tmp_path: Path, master: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'[spark]\nmaster = "{master}"\n')
    assert load(str(path)).spark.master == master


def test_a_master_that_is_not_text_is_left_to_validation(tmp_path: Path) -> None:
    for text in ("spark = 1", "[spark]\nmaster = 1"):
        (tmp_path / "odd.toml").write_text(text)
        with pytest.raises(ConfigError, match=r"^spark"):
            load(str(tmp_path / "odd.toml"))


def test_weights_of_a_run_elsewhere_do_not_bring_its_master(tmp_path: Path) -> None:
    paths = RunPaths(f"file://{tmp_path}/runs/theirs")
    storage.write_json(paths.config, parse(SYNTHETIC, ["spark.master=spark://10.0.0.1:7077"]).model_dump(mode="json"))
    with pytest.raises(ConfigError, match=r"run theirs sets spark\.master"):
        predict_plan(LocalTarget(), run=paths, overrides=[], root=None)
    Manifest("train", "a" * 16, (), 0.0).save(paths)
    plan = predict_plan(LocalTarget(), run=paths, overrides=["spark.master=local[1]"], root=f"file://{tmp_path}/runs")
    assert config_of(plan).spark.master == "local[1]"


@pytest.mark.parametrize("path", ['"😀"', "true", "1e5", "a b.csv", "Ω\\.csv"])
def test_a_text_is_read_back_from_its_override_word(path: str) -> None:
    config = parse({"market": {"source": "files", "path": path}})
    assert parse({}, words(config)) == config


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2330", ("2330",)),
        ("0050", ("0050",)),
        ("2330,2317", ("2330", "2317")),
        ("[2330, 2317]", ("2330", "2317")),
        ("[1.10, TRUE, 1e5]", ("1.10", "TRUE", "1E5")),
        ("true", ("TRUE",)),
        ("nan", ("NAN",)),
        ('"0050"', ("0050",)),
        ('"BRK B",AAPL', ()),
        ('"BRK B","AAPL"', ("BRK B", "AAPL")),
        ("AAPL US Equity, msft,", ("AAPL US EQUITY", "MSFT")),
        ("aapl,AAPL", ("AAPL",)),
        ("2024-01-01", ("2024-01-01",)),
    ],
)
def test_tickers_are_read_as_typed(text: str, found: tuple[str, ...]) -> None:
    if not found:
        with pytest.raises(ConfigError, match="is no ticker"):
            parse(SYNTHETIC, [f"universe.tickers={text}"])
        return
    config = parse(SYNTHETIC, [f"universe.tickers={text}"])
    assert config.universe.tickers == found
    assert parse({}, words(config)) == config


def test_tickers_that_toml_reads_as_numbers_are_texts(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('[universe]\ntickers = [2330, true, "0050"]\nexclude = [2330]\n')
    universe = load(str(tmp_path / "run.toml")).universe
    assert universe.tickers == ("2330", "TRUE", "0050")
    assert universe.exclude == ("2330",)


def test_a_setting_that_is_text_takes_the_word_as_typed() -> None:
    config = parse({}, ["market.source=files", "market.path=2024-01-01", "train.cache_dir=007", "market.decimal=,",
                        "market.columns.ticker=1", "market.header=date, open,,5"])  # fmt: skip
    assert (config.market.path, config.train.cache_dir, config.market.decimal) == ("2024-01-01", "007", ",")
    assert config.market.columns == {"ticker": "1"}
    assert config.market.header == ("date", "open", "", "5")
    with pytest.raises(ConfigError, match=r"^name may have lower-case letters, .*, not '007'$"):
        parse({}, ["name=007"])


@pytest.mark.parametrize("entry", ["a,b", "[ab]", " a", '"a"', "5", "[a", "a]"])
def test_a_list_of_texts_is_read_back_from_its_override_word(entry: str) -> None:
    config = parse({"market": {"source": "files", "path": "x", "ignore_files": [entry, "b"]}})
    assert parse({}, words(config)) == config


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("train.epochs=abc", "train.epochs must be a whole number, not 'abc'"),
        ("train.epochs=5\nx = 3", "train.epochs must be a whole number, not '5\\nx = 3'"),
        ("train.epochs=1.5", "train.epochs must be a whole number, not 1.5"),
        ("train.epochs=-1", "train.epochs must be at least 0, not -1"),
        ("train.learning_rate=0", "train.learning_rate must be greater than 0, not 0"),
        ("train.learning_rate=2", "train.learning_rate must be at most 1, not 2"),
        ("model.dropout=1", "model.dropout must be less than 1, not 1"),
        ("model.dropout=nan", "model.dropout must be a number, not nan"),
        ("model.dropout=x", "model.dropout must be a number, not 'x'"),
        ("train.open_ports=perhaps", "train.open_ports must be true or false, not 'perhaps'"),
        ("market.source=yaho", "market.source must be 'yahoo', 'files', 'synthetic' or 'stored', not 'yaho'"),
        ("market.end=31.12.2024", "market.end must be a date such as 2024-12-31, not '31.12.2024'"),
        ("market.end=2024-12-31T10:00:00", "market.end must be a date such as 2024-12-31, without a time, not "),
        ("train=3", "train is a section of settings: write section.key=value, not 3"),
        ("evaluation.ridge_alphas=7", "evaluation.ridge_alphas must be a list such as [1, 2], not 7"),
        ('evaluation.ridge_alphas=[1, "x"]', "evaluation.ridge_alphas[2] must be a number, not 'x'"),
        ('market.renames=[{ old = "FB" }]', "market.renames[1].new is missing"),
        ("market.time_zone=Asia/Tokio", "market.time_zone: no time zone has this name; write for example"),
        ("universe.tickers=A;B", "universe.tickers[1]: 'A;B' is no ticker; a ticker has up to 40 letters"),
        ("mine.toml", "'mine.toml' is not a setting (try: --config=mine.toml)"),
        ("seed=3", "unknown key 'seed', did you mean 'market.synthetic.seed' or 'train.seed'?"),
        ("train.cache=3", "unknown key 'train.cache', did you mean 'train.cache_dir'?"),
        ("train.batch=3", "unknown key 'train.batch', did you mean 'train.batch_windows'?"),
        ("train.max=3", "unknown key 'train.max', did you mean 'train.max_steps' or 'train.max_restarts'?"),
        ("zzz.qqq=3", "unknown key 'zzz', known here: name, universe, market,"),
    ],
)
def test_a_problem_is_a_sentence_about_the_setting(word: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(SYNTHETIC, [word])
    assert str(caught.value).startswith(sentence)


def test_every_pattern_and_every_bound_of_a_setting_has_words() -> None:
    schema = json.dumps(RunConfig.model_json_schema())
    patterns = {json.loads(f'"{found}"') for found in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', schema)}
    assert patterns == set(PATTERNS)
    for bound in ("minLength", "maxLength", "minItems", "maxItems", "multipleOf"):
        assert f'"{bound}"' not in schema


def test_a_list_with_a_wrong_entry_does_not_hide_other_problems() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(SYNTHETIC, ["universe.tickers=A;B", "dataset.train_end=2023-06-30"])
    assert len(caught.value.problems) == 2
    assert "universe.tickers" in caught.value.problems[0]
    assert "dates must be in order" in caught.value.problems[1]
