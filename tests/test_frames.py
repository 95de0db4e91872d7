"""Frames get the columns of a labelled file, with the labels of the classifier; on Spark, too, where it is installed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from data.errors import DataError
from serving.classifier import FeedbackClassifier
from serving.columns import LabelledColumns
from serving.frames import FrameLabeller
from serving.prediction import Prediction

pandas = pytest.importorskip("pandas")
TEXTS = ["快递太差，我要退款", "terrible parcel", None, "بسته افتضاح بود", "  "]


def test_every_row_stays_with_its_labels_or_the_reason_why_it_has_none(model_path: Path, classifier: FeedbackClassifier) -> None:
    frames = [
        pandas.DataFrame({"n": [1, 2, 3], "text": TEXTS[:3]}, index=[7, 8, 9]),
        pandas.DataFrame({"n": [4, 5], "text": TEXTS[3:]}),
    ]
    first, second = FrameLabeller(model_path, scores=True)(iter(frames))
    assert (list(first.index), list(first["n"]), list(second["n"])) == ([7, 8, 9], [1, 2, 3], [4, 5])
    columns = LabelledColumns(classifier.taxonomy, scores=True)
    for frame, row, text in ((first, 0, TEXTS[0]), (first, 1, TEXTS[1]), (second, 0, TEXTS[3])):
        (result,) = classifier.predict([str(text)])
        assert isinstance(result, Prediction)
        assert {name: frame[name].iloc[row] for name in columns.names} == columns.values(result)
        assert frame["reject"].iloc[row] is None
    for frame, row in ((first, 2), (second, 1)):
        assert frame["sentiment"].iloc[row] is None
        assert '"code": "empty"' in frame["reject"].iloc[row]


def test_a_frame_without_a_column_of_messages_or_with_one_of_ours_is_refused(model_path: Path) -> None:
    with pytest.raises(DataError, match=r"the frame: no column's name says .*Columns: 'a', 'b'"):
        list(FrameLabeller(model_path)([pandas.DataFrame({"a": ["x"], "b": ["y"]})]))
    with pytest.raises(DataError, match="the frame: has columns tone already"):
        list(FrameLabeller(model_path)([pandas.DataFrame({"text": ["x"], "tone": ["y"]})]))


def test_the_schema_adds_our_columns_to_those_that_there_are(model_path: Path) -> None:
    schema = FrameLabeller(model_path, prefix="p_").schema("struct<n:bigint,text:string>")
    assert schema.startswith(
        "struct<n:bigint,text:string,`p_language`:string,`p_sentiment`:string,`p_sentiment_probability`:double"
    )
    assert "`p_category`:array<string>,`p_category_probabilities`:array<double>" in schema
    assert schema.endswith("`p_reject`:string>")


@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java; make spark says how to get it")
def test_spark_gives_the_labels_of_one_machine(
    model_path: Path, classifier: FeedbackClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    sql = pytest.importorskip("pyspark.sql", reason="make spark installs it")
    session = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        texts = [f"{text} {number}" for number in range(40) for text in TEXTS if text and text.strip()]
        messages = session.createDataFrame(list(enumerate(texts)), "n long, text string").repartition(4)
        labeller = FrameLabeller(model_path)
        rows = messages.mapInPandas(labeller, labeller.schema(messages.schema.simpleString())).collect()
    finally:
        session.stop()
    expected = [result.to_dict() for result in classifier.predict(texts)]
    assert len(rows) == len(texts)
    for row in rows:
        answers = expected[row["n"]]["answers"]
        assert row["text"] == texts[row["n"]]
        assert (row["tone"], row["tone_probability"]) == (answers["tone"]["label"], answers["tone"]["probability"])
        assert row["category"] == [choice["label"] for choice in answers["category"]["labels"]]
