"""Scorers: what they return, which one the settings name, and what is refused."""

from __future__ import annotations

import importlib.metadata
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cloudlstm.config.exogenous import NewsConfig
from cloudlstm.errors import DataError, MissingExtraError, ObjectNotFoundError, UnreadableSourceError, UsageError
from cloudlstm.exogenous.scoring import vader
from cloudlstm.exogenous.scoring.lexicon import Lexicon
from cloudlstm.exogenous.scoring.scorer import OwnScorer, checked_scores, identity, open_scorer

DICTIONARY = """Word,Seq_num,Word Count,Negative,Positive,Uncertainty,Source
LOSS,1,10,2009,0,0,12of12inf
FRAUD,2,10,2009,0,0,12of12inf
GAIN,3,10,0,2009,0,12of12inf
STRONG,4,10,0,2009.0,0,12of12inf
CLOSED,5,10,-2020,0,0,12of12inf
MIXED,6,10,2011,2012,0,12of12inf
TABLE,7,10,0,0,0,12of12inf
EMPTY,8,10,,,0,12of12inf
"""


def texts(*headlines: str) -> pa.StringArray:
    return pa.array(headlines, pa.string())


def lexicon(folder: Path, content: str | bytes = DICTIONARY) -> Lexicon:
    path = folder / "dictionary.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = open_scorer(NewsConfig(scorer="lexicon", lexicon=str(path)))
    assert isinstance(found, Lexicon)
    return found


def test_vader_gives_the_compound_score_of_its_package() -> None:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    headlines = ["Shares crash after horrible fraud", "Great quarter, wonderful growth!", "Board meets on Monday", ""]
    scorer = open_scorer(NewsConfig())
    scores = checked_scores(scorer, texts(*headlines))
    analyzer = SentimentIntensityAnalyzer()
    assert scores.tolist() == [np.float32(analyzer.polarity_scores(each)["compound"]) for each in headlines]
    assert scores[0] < 0 < scores[1]
    assert scores[2] == scores[3] == 0
    assert scores.dtype == np.float32
    assert (scorer.name, scorer.version) == ("vader", importlib.metadata.version("vaderSentiment"))


def test_vader_reads_the_beginning_of_a_long_text() -> None:
    good = "good " * 200
    assert len(good) == 1000
    assert vader.Vader().score(texts(good + "terrible awful " * 1000)) == vader.Vader().score(texts(good))


def test_vader_says_how_to_install_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vaderSentiment.vaderSentiment", None)
    vader._analyzer.cache_clear()
    with pytest.raises(MissingExtraError, match=r"cloudlstm\[news\]"):
        vader.Vader().score(texts("any"))
    vader._analyzer.cache_clear()


@pytest.mark.parametrize(
    ("headline", "score"),
    [
        ("A strong gain, and a loss", 1 / 3),
        ("Fraud! FRAUD, fraud; and a gain", -1 / 2),
        ("Loss", -1.0),
        ("Gain-strong", 1.0),
        ("Mixed", 0.0),
        ("Closed table: empty", 0.0),  # taken out of the list, in no list, and without flags
        ("gains losses", 0.0),  # words count as they stand in the dictionary
        ("", 0.0),
    ],
)
def test_a_dictionary_counts_its_words(tmp_path: Path, headline: str, score: float) -> None:
    assert checked_scores(lexicon(tmp_path), texts(headline)).tolist() == [np.float32(score)]


def test_a_dictionary_may_have_a_byte_order_mark_and_other_columns(tmp_path: Path) -> None:
    content = "\ufeff positive , NEGATIVE,word\n2009,0,Gain\n0,2009, loss \n\n"
    assert lexicon(tmp_path, content).score(texts("gain", "LOSS")).tolist() == [1.0, -1.0]


def test_the_version_of_a_dictionary_is_its_content(tmp_path: Path) -> None:
    one, two = lexicon(tmp_path), lexicon(tmp_path, DICTIONARY.replace("FRAUD", "THEFT"))
    assert one.version != two.version
    assert lexicon(tmp_path).version == one.version


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it lacks Word, Positive, Negative; it is empty"),
        ("Word,Negative\nLOSS,2009\n", "it lacks Positive; it has Word, Negative"),
        ("Word,Negative,Positive\nLOSS,2009,0\n", "no positive, or no negative words"),
        ("Word,Negative,Positive\nLOSS,2009,0\nGAIN,0,yes\n", "line 3 has no word, or a flag that is no number"),
        ("Word,Negative,Positive\nLOSS,2009\n", "line 2 has no word"),
        (b"Word,Negative,Positive\n\xff\xfe,1,0\n", "utf-8"),
    ],
)
def test_a_file_that_is_no_dictionary_is_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(UnreadableSourceError, match=message):
        lexicon(tmp_path, content)


def test_a_dictionary_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError, match=r"none\.csv"):
        Lexicon.read(str(tmp_path / "none.csv"))


class Answering:
    """A scorer that returns whatever it is given."""

    name, version = "answering", "1"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def score(self, headlines: pa.StringArray) -> Any:  # noqa: ARG002
        return self.answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros(3, np.float32), r"shape \(3,\) for 2 headlines"),
        (np.zeros((2, 1), np.float32), r"shape \(2, 1\)"),
        (np.float32(0), r"shape \(\)"),
        ([0.5, float("nan")], "gave nan to the headline 'second'"),
        ([-1.5, 0.0], "gave -1.5 to the headline 'first'"),
        ([0.0, float("inf")], "gave inf"),
        ([1.0, 1.01], "gave 1.0"),
        (["good", "bad"], "returned no numbers but list"),
        (None, "no numbers|shape|gave nan"),
    ],
)
def test_what_a_scorer_returns_is_checked(answer: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        checked_scores(Answering(answer), texts("first", "second"))
    assert "answering" in str(caught.value)


def test_numbers_in_other_forms_are_accepted() -> None:
    assert checked_scores(Answering([1, -1]), texts("a", "b")).dtype == np.float32
    assert checked_scores(Answering([]), texts()).shape == (0,)


OWN = """
import numpy as np

class Half:
    name, version = "half", "{version}"
    def score(self, headlines):
        if "fail" in headlines.to_pylist():
            raise ZeroDivisionError("nothing to divide")
        return np.full(len(headlines), 0.5, np.float32)

scorer = Half()
unnamed = object()

class Badly(Half):
    name = "Bad Name"
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module `own_scorers` of the user's in the present folder."""
    pytest.importorskip("cloudlstm.runs.user_code")
    from cloudlstm.exogenous.scoring import scorer

    scorer._loaded.cache_clear()
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "own_scorers.py"
    path.write_text(OWN.format(version="1"))
    return path


@pytest.mark.parametrize("name", ["scorer", "Half"])
def test_an_object_or_a_class_of_the_user_scores(own: Path, name: str) -> None:
    found = open_scorer(NewsConfig(scorer=f"own_scorers:{name}"))
    again = pickle.loads(pickle.dumps(found))
    assert checked_scores(again, texts("a", "b")).tolist() == [0.5, 0.5]
    assert (again.name, again.version) == ("half", "1")


def test_a_change_of_the_users_code_changes_its_identity(own: Path) -> None:
    before = identity(OwnScorer("own_scorers:scorer"))
    own.write_text(OWN.format(version="1") + "# another line\n")
    after = identity(OwnScorer("own_scorers:scorer"))
    assert before["version"] == after["version"]
    assert before != after


def test_a_failing_scorer_shows_the_users_error(own: Path) -> None:
    with pytest.raises(UsageError, match=r"own_scorers:scorer failed: ZeroDivisionError: nothing to divide"):
        OwnScorer("own_scorers:scorer").score(texts("fail"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unnamed", "is no scorer: it lacks name, version, score"),
        ("Badly", "'Bad Name' is not lower-case letters"),
        ("Nothing", "Nothing"),
    ],
)
def test_an_object_that_is_no_scorer_is_refused(own: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _ = OwnScorer(f"own_scorers:{name}").version


def test_every_scorer_can_be_sent_to_another_process(tmp_path: Path) -> None:
    for scorer in (vader.Vader(), lexicon(tmp_path)):
        assert pickle.loads(pickle.dumps(scorer)).score(texts("strong gain")) == scorer.score(texts("strong gain"))
