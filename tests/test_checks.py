"""The checker: what makes rows unfit is an error, what a person should see is a warning, unknown is never no."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data.check_report import CheckReport, Finding
from data.checks import EXCERPT_CHARACTERS, MAX_FINDINGS_OF_A_KIND, MAX_PLACES, MAX_VALUES, check, excerpt
from data.rows import Row, write_rows
from data.taxonomy import Taxonomy

Check = Callable[..., CheckReport]
LONG = {
    "zh": "上周三下的单，说好两天内送达，结果等了整整九天还没有收到包裹，打客服电话永远占线，真的非常失望",
    "en": "Ordered on Wednesday with two day shipping and nine days later nothing has arrived, the line is busy",
    "fa": "چهارشنبه سفارش دادم و قرار بود دو روزه برسد ولی بعد از نه روز هنوز هیچ خبری نیست و تلفن اشغال است",
}


@pytest.fixture
def checked(tmp_path: Path, taxonomy: Taxonomy, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Writes rows and checks them; the file's name in the report is rows.jsonl."""
    monkeypatch.chdir(tmp_path)

    def run(*rows: Row | dict[str, Any]) -> CheckReport:
        lines = Path("rows.jsonl")
        if all(isinstance(row, Row) for row in rows):
            write_rows(lines, [row for row in rows if isinstance(row, Row)], taxonomy)
        else:
            lines.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        return check(lines, taxonomy)

    return run


def kinds(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.kind for finding in findings]


def one(findings: tuple[Finding, ...], kind: str) -> Finding:
    (found,) = (finding for finding in findings if finding.kind == kind)
    return found


def test_good_rows_have_neither_errors_nor_warnings(checked: Check) -> None:
    full = {"sentiment": ("negative",), "tone": ("frustrated",), "category": ("delivery",)}
    report = checked(*(Row(text, full, language=language, split="train") for language, text in LONG.items()))
    assert report.fit
    assert report.errors == report.warnings == ()
    assert report.rows == 3


def test_every_fault_of_the_rows_is_an_error_with_its_line(checked: Check) -> None:
    report = checked(
        {"text": LONG["en"], "category": ["refund"]},
        {"text": "fine", "tone": "calm"},
        {"text": "خوب", "category": ["refund"], "split": "dev"},
        {"text": ""},
    )
    assert not report.fit
    assert [(finding.message.split(".")[0], finding.rows, finding.places) for finding in report.errors] == [
        ("category 'refund' is not in the taxonomy (nearest: 'marketing')", 2, ("rows.jsonl:1", "rows.jsonl:3")),
        ("split 'dev' is not known", 1, ("rows.jsonl:3",)),
        ("text is empty", 1, ("rows.jsonl:4",)),
    ]
    assert report.rows == 1


@pytest.mark.parametrize("text", ["\u200b\u200b", "\x00\x07", "\ufeff \u200e"], ids=["zero width", "control", "marks"])
def test_a_text_that_is_empty_after_mending_is_an_error(checked: Check, text: str) -> None:
    assert kinds(checked({"text": text}, {"text": "很好", "tone": "calm"}).errors) == ["empty"]


@pytest.mark.parametrize("language", LONG)
def test_overlong_texts_are_warned_of_and_then_refused(checked: Check, language: str) -> None:
    unit = LONG[language] + " "
    report = checked(Row(unit), Row((unit * 60)[:2001]), Row((unit * 600)[:20_001]))
    assert one(report.warnings, "long").places == ("rows.jsonl:2",)
    assert one(report.errors, "too_long").places == ("rows.jsonl:3",)


@pytest.mark.parametrize("language", LONG)
@pytest.mark.parametrize("change", [str, lambda text: text + "!!", lambda text: text[:-1]], ids=["same", "signs", "shorter"])
def test_the_same_text_in_two_splits_is_leakage(checked: Check, language: str, change: Callable[[str], str]) -> None:
    report = checked(Row(LONG[language], split="train"), Row(change(LONG[language]), split="test"), Row("other", split="test"))
    finding = one(report.errors, "leakage")
    assert finding.message.startswith("Texts of test stand in train too")
    assert finding.places[0].startswith("rows.jsonl:1 = rows.jsonl:2 (")


def test_rows_without_a_split_leak_nowhere(checked: Check) -> None:
    report = checked(Row(LONG["fa"], split="train"), Row(LONG["fa"]))
    assert report.fit
    assert one(report.warnings, "duplicate").rows == 1


def test_leakage_is_found_between_files(tmp_path: Path, taxonomy: Taxonomy) -> None:
    paths = [tmp_path / "train.csv", tmp_path / "test.parquet"]
    for path, split in zip(paths, ("train", "test"), strict=True):
        write_rows(path, [Row(LONG["zh"], split=split)], taxonomy)
    report = check(paths, taxonomy)
    assert one(report.errors, "leakage").places[0].startswith(f"{paths[0]}:2 = {paths[1]}:1")
    assert report.files == tuple(map(str, paths))


CONTRADICTIONS = {
    "single": (Row("好", {"tone": ("calm",)}), Row("好", {"tone": ("angry",)})),
    "multi": (Row("good", {"category": ("price",)}), Row("good", {"category": ("price", "delivery")})),
    "after mending": (Row("كيفيت", {"tone": ("calm",)}), Row("کیفیت", {"tone": ("angry",)})),
    "given and excluded": (Row("خوب", {"tone": ("calm",)}), Row("خوب", excluded={"tone": ("calm",)})),
    "within what both know": (
        Row("x", {"category": ("price",)}, {"category": ("price", "payment")}),
        Row("x", {"category": ("delivery",)}),
    ),
}
AGREEMENTS = {
    "unknown": (Row("好", {"tone": ("calm",)}), Row("好")),
    "another task": (Row("good", {"tone": ("calm",)}), Row("good", {"sentiment": ("neutral",)})),
    "the same": (Row("خوب", {"category": ("price", "delivery")}), Row("خوب", {"category": ("delivery", "price")})),
    "another text": (Row("好", {"tone": ("calm",)}), Row("不好", {"tone": ("angry",)})),
    "could not have been given": (
        Row("x", {"tone": ("frustrated",)}, {"tone": ("frustrated", "calm")}),
        Row("x", {"tone": ("angry",)}),
    ),
    "outside what both know": (
        Row("x", {"category": ("price",)}, {"category": ("price", "payment")}),
        Row("x", {"category": ("price", "delivery")}),
    ),
    "excluded otherwise": (Row("x", {"tone": ("calm",)}), Row("x", excluded={"tone": ("sarcastic",)})),
}


@pytest.mark.parametrize("rows", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
@pytest.mark.parametrize("turned", [False, True])
def test_the_same_text_with_labels_that_cannot_both_be_right_is_an_error(
    checked: Check, rows: tuple[Row, Row], turned: bool
) -> None:
    finding = one(checked(*(reversed(rows) if turned else rows)).errors, "contradiction")
    assert finding.message.startswith("The same text has different labels for")
    assert finding.places[0].startswith("rows.jsonl:1 = rows.jsonl:2")


@pytest.mark.parametrize("rows", AGREEMENTS.values(), ids=AGREEMENTS)
@pytest.mark.parametrize("turned", [False, True])
def test_unknown_is_never_no(checked: Check, rows: tuple[Row, Row], turned: bool) -> None:
    assert "contradiction" not in kinds(checked(*(reversed(rows) if turned else rows)).errors)


@pytest.mark.parametrize("language", LONG)
def test_duplicates_and_near_duplicates_are_counted_apart(checked: Check, language: str) -> None:
    text = LONG[language]
    report = checked(Row(text), Row(text), Row(text + "X"), *(Row(other) for other in LONG.values() if other != text), Row("x"))
    assert one(report.warnings, "duplicate").rows == 1
    assert one(report.warnings, "near_duplicate").rows == 1
    assert report.duplicate_rate == report.near_duplicate_rate == pytest.approx(1 / 6)


@pytest.mark.parametrize(("given", "language"), [("zh", "en"), ("en", "fa"), ("fa", "zh")])
def test_a_language_that_does_not_match_its_text_is_a_warning(checked: Check, given: str, language: str) -> None:
    report = checked(Row(LONG[language], language=given), Row(LONG[given], language=given))
    finding = one(report.warnings, "language")
    assert finding.message == f"The language is given as '{given}', the text looks like '{language}'."
    assert finding.places == ("rows.jsonl:1",)
    assert report.fit


@pytest.mark.parametrize(("given", "language"), [("zh-Hant-TW", "zh"), ("zh_CN", "zh"), ("EN", "en"), ("fa-AF", "fa")])
def test_regions_and_scripts_of_a_language_match(checked: Check, given: str, language: str) -> None:
    assert "language" not in kinds(checked(Row(LONG[language], language=given)).warnings)


def test_garbled_texts_are_warned_of(checked: Check) -> None:
    report = checked(Row("这个产品\ufffd\ufffd\ufffd很\ufffd\ufffd差", language="zh"), Row(LONG["zh"], language="zh"))
    assert one(report.warnings, "garbled").places == ("rows.jsonl:1",)


def test_a_column_that_was_perhaps_meant_as_a_task_is_named(checked: Check) -> None:
    report = checked({"text": LONG["en"], "Sentiment": "positive", "categories": ["price"], "channel": "app", "stars": 5})
    messages = [finding.message for finding in report.warnings if finding.kind == "column"]
    assert messages == [
        "rows.jsonl: column 'Sentiment' is not read as 'sentiment'. Rename it if it is meant so.",
        "rows.jsonl: column 'categories' is not read as 'category'. Rename it if it is meant so.",
    ]


def test_a_task_without_a_label_in_any_row_is_named(checked: Check) -> None:
    report = checked(Row(LONG["en"], {"sentiment": ("negative",)}))
    assert [finding.message for finding in report.warnings if finding.kind == "unlabelled"] == [
        "No row has a label for tone.",
        "No row has a label for category.",
    ]


def test_counts_are_by_task_label_and_language_and_unknown_is_counted(checked: Check) -> None:
    report = checked(
        Row(LONG["zh"], {"tone": ("calm",), "category": ("price", "delivery")}, language="zh", split="train", source="a"),
        Row("很好", {"tone": ("satisfied",)}, language="zh", split="test", source="a"),
        Row(LONG["fa"], {"tone": ("calm",)}, language="fa", split="train", source="b"),
        Row("?"),
    )
    assert report.labels["tone"]["calm"] == {"zh": 1, "fa": 1}
    assert report.labels["tone"]["unknown"] == {"unknown": 1}
    assert report.labels["category"]["price"] == {"zh": 1}
    assert report.labels["category"]["unknown"] == {"zh": 1, "fa": 1, "unknown": 1}
    assert report.labels["tone"]["angry"] == {}
    assert report.splits == {"train": 2, "test": 1, "none": 1}
    assert report.sources == {"a": 2, "b": 1, "unknown": 1}
    assert report.languages == {"zh": 2, "fa": 1, "unknown": 1}


def test_an_id_at_different_texts_of_one_source_is_warned_of(checked: Check) -> None:
    rows = [Row(LONG["zh"], source="a", id="1"), Row(LONG["fa"], source="a", id="1"), Row(LONG["en"], source="b", id="1")]
    (found,) = [finding for finding in checked(*rows).warnings if finding.kind == "repeated_id"]
    assert (found.rows, found.message) == (
        1,
        "The same id stands at different texts of one source. Give each row an id of its own.",
    )
    assert not [finding for finding in checked(rows[0], rows[0], Row(LONG["fa"])).warnings if finding.kind == "repeated_id"]


def test_files_that_cannot_be_read_are_errors_beside_the_others(tmp_path: Path, taxonomy: Taxonomy) -> None:
    good, empty, missing = tmp_path / "good.csv", tmp_path / "empty.csv", tmp_path / "missing.jsonl"
    good.write_text("text,tone\n很好,calm\n", "utf-8")
    empty.write_bytes(b"")
    report = check([empty, good, missing], taxonomy)
    assert kinds(report.errors) == ["unreadable", "unreadable"]
    assert "empty.csv: the file is empty" in report.errors[0].message
    assert "missing.jsonl: no such file" in report.errors[1].message
    assert report.rows == 1


def test_a_file_without_rows_is_an_error(tmp_path: Path, taxonomy: Taxonomy) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,tone\n")
    report = check(str(path), taxonomy)
    assert kinds(report.errors) == ["no_rows"]
    assert f"{path}: no rows, only the names of columns" in report.to_text()


def test_a_file_without_rows_is_named_among_others(tmp_path: Path, taxonomy: Taxonomy) -> None:
    good, bare = tmp_path / "good.csv", tmp_path / "bare.csv"
    good.write_text("text,tone\n很好,calm\n", "utf-8")
    bare.write_text("text,tone\n")
    report = check([good, bare], taxonomy)
    assert [finding.message.split(",")[0] for finding in report.errors] == [f"{bare}: no rows"]
    assert report.rows == 1


@pytest.mark.parametrize("content", ["", "\n\n", "{}\n"])
def test_json_lines_without_rows_are_an_error(tmp_path: Path, taxonomy: Taxonomy, content: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    report = check(path, taxonomy)
    assert kinds(report.errors) == ["unreadable", "no_rows"]
    assert "no rows" in report.errors[0].message


def test_a_named_encoding_is_used(tmp_path: Path, taxonomy: Taxonomy) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(f"text\n{LONG['zh']}\n".encode("gb18030"))
    assert check(path, taxonomy, encoding="gbk").rows == 1
    assert kinds(check(path, taxonomy, encoding="utf-8").errors) == ["unreadable", "no_rows"]


def test_findings_are_bounded_and_all_rows_counted(checked: Check) -> None:
    report = checked(
        {"text": "x"}, *({"text": f"text {n}", "tone": f"no such label {n}"} for n in range(300)), *({"text": " "},) * 50
    )
    assert len(report.errors) == MAX_FINDINGS_OF_A_KIND + 1
    assert sum(finding.rows for finding in report.errors) == 350
    assert max(len(finding.places) for finding in report.errors) == MAX_PLACES


def test_a_source_column_of_free_text_does_not_fill_the_report(checked: Check) -> None:
    report = checked(*(Row(f"text {n}", source=f"source {n}") for n in range(250)))
    assert len(report.sources) == MAX_VALUES + 1
    assert sum(report.sources.values()) == 250


def test_no_more_of_a_text_than_an_excerpt_is_ever_shown(checked: Check) -> None:
    for text in LONG.values():
        long = (text + " ") * 3
        report = checked(
            {"text": long, "split": "train", "tone": "calm", "language": "de"},
            {"text": long, "split": "test", "tone": "angry", "language": long, "source": long},
            {"text": long + "X", "sentiment": long, "split": long, long: long},
        )
        shown = report.to_text() + json.dumps(report.to_dict(), ensure_ascii=False)
        assert long[:20] in shown
        assert all(long[place : place + EXCERPT_CHARACTERS + 1] not in shown for place in range(len(text)))


def test_an_excerpt_is_one_line_of_bounded_length() -> None:
    assert excerpt("一\n二\t三\x00\u202e四") == "一 二 三 四"
    assert excerpt("نمی‌خواهم") == "نمی‌خواهم"
    assert len(excerpt("很" * 500)) == EXCERPT_CHARACTERS


def test_the_report_is_json_and_a_table(checked: Check) -> None:
    report = checked(
        Row(LONG["zh"], {"tone": ("calm",)}, language="zh", split="train"),
        Row(LONG["zh"], {"tone": ("angry",)}, language="zh", split="test"),
    )
    document = json.loads(json.dumps(report.to_dict()))
    assert document["fit"] is False
    assert {finding["kind"] for finding in document["errors"]} == {"leakage", "contradiction"}
    text = report.to_text()
    assert "errors: 2" in text
    assert "rows.jsonl:1 = rows.jsonl:2" in text
    table = [line.split() for line in text.splitlines()]
    assert ["tone", "zh", "all"] in table
    assert ["calm", "1", "1"] in table
    assert ["train", "1"] in table
