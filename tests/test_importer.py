"""Importing a set: every row is written or counted, and what the set cannot know stays unknown."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

from data.errors import DataError
from data.importer import import_all, import_source, import_to_file, row_id
from data.rows import read_rows
from data.sources import Source
from data.taxonomy import Taxonomy


@pytest.fixture
def folder(tmp_path):
    """A function that writes the splits of a set and returns its folder."""

    def folder(**splits):
        for name, records in splits.items():
            columns = {key: [record.get(key) for record in records] for key in records[0]}
            pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / f"{name.replace('__', '-')}.parquet")
        return tmp_path

    return folder


@pytest.fixture
def rows_of(folder, taxonomy):
    """A function that imports a set of the default file from records by split, and returns its rows by text."""

    def rows_of(source, **splits):
        return {row.text: row for row in import_source(Source.read(source), folder(**splits), taxonomy)}

    return rows_of


def test_a_row_carries_label_what_could_be_known_and_where_it_is_from(rows_of):
    text = "送得很快，汤还是热的"
    row = rows_of("waimai_10k", all=[{"text": text, "label": 1}])[text]
    assert row.labels == {"sentiment": ("positive",)}
    assert row.known == {"sentiment": ("positive", "negative")}
    assert row.excluded == {}
    assert (row.language, row.source, row.split, row.extra) == ("zh", "waimai_10k", None, {})
    assert row.id == "waimai_10k-" + hashlib.sha256(text.encode()).hexdigest()[:12]


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "jsonl"])
def test_every_format_gives_the_same_rows(tmp_path, taxonomy, ending):
    records = [{"text": "null", "label": 0}, {"text": "غذا سرد رسید، ولی خوب بود", "label": 1}]
    table, path = pyarrow.Table.from_pylist(records), tmp_path / f"all.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(table, path)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    else:
        options = pyarrow.csv.WriteOptions(delimiter="\t" if ending == "tsv" else ",")
        pyarrow.csv.write_csv(table, path, options)
    rows = list(import_source(Source.read("waimai_10k"), tmp_path, taxonomy))
    assert [(row.text, row.labels["sentiment"]) for row in rows] == [
        ("null", ("negative",)),
        ("غذا سرد رسید، ولی خوب بود", ("positive",)),
    ]


def test_stars_map_by_range_and_filtered_rows_are_dropped(rows_of):
    rows = rows_of(
        "zht_drinkshop_google",
        all=[
            {"text": "珍珠太硬，不會再買", "星數": 1},
            {"text": "普普通通", "星數": 3},
            {"text": "綠茶很香", "星數": 5},
            {"text": "(由 Google 提供翻譯) 很好(原始評論)Nice", "星數": 5},
        ],
    )
    assert {text: row.labels["sentiment"] for text, row in rows.items()} == {
        "珍珠太硬，不會再買": ("negative",),
        "綠茶很香": ("positive",),
    }


def test_training_rows_that_stand_in_the_test_split_are_dropped(folder, taxonomy, tmp_path):
    path = folder(
        train=[{"text": "کيفيت خوب بود !", "label": "HAPPY"}, {"text": "دیر رسید", "label": "SAD"}],
        validation=[{"text": "بسته‌بندی پاره بود", "label": "SAD"}],
        test=[{"text": "کیفیت خوب بود", "label": "HAPPY"}],
    )
    report = import_to_file("snappfood", path, tmp_path / "rows.jsonl", taxonomy)
    assert report.dropped == {"its text is in the set's own test split": 1}
    assert report.splits == {"test": 1, "": 2}


def test_leaks_are_also_found_when_one_split_is_imported(folder, taxonomy):
    path = folder(
        train=[{"text": "Same text", "category": "card_arrival"}, {"text": "Where is my card?", "category": "card_arrival"}],
        test=[{"text": "same text.", "category": "card_arrival"}],
    )
    rows = list(import_source(Source.read("banking77"), path, taxonomy, split="train"))
    assert [row.text for row in rows] == ["Where is my card?"]


def test_several_emotions_count_only_where_they_mean_one_tone(rows_of):
    rows = rows_of(
        "goemotions",
        train=[
            {"text": "Thanks, I love it", "label_names": ["gratitude", "love"]},
            {"text": "Thanks, I was scared", "label_names": ["gratitude", "fear"]},
            {"text": "Which size is that?", "label_names": ["curiosity"]},
        ],
        dev=[{"text": "I see your point", "label_names": ["approval"]}],
        test=[{"text": "The shop opens at nine.", "label_names": ["neutral"]}],
    )
    assert set(rows) == {"Thanks, I love it", "Which size is that?", "The shop opens at nine."}
    assert rows["Thanks, I love it"].labels == {"tone": ("satisfied",)}
    assert rows["The shop opens at nine."].labels == {"tone": ("calm",)}
    assert rows["Which size is that?"].labels == {"category": ("question",)}
    assert rows["Which size is that?"].known == {"category": ("question",)}


def test_one_of_several_labels_excludes_the_others(rows_of, taxonomy):
    row = rows_of(
        "shortpersianemo",
        train=[{"text": "زود خراب شد", "label": "ANGRY"}],
        test=[{"text": "راضی‌ام", "label": "HAPPY"}],
    )["زود خراب شد"]
    assert row.labels == {}
    assert set(taxonomy["tone"].names) - set(row.excluded["tone"]) == {"frustrated", "angry"}
    assert row.extra == {"weak": True}


def test_a_row_known_not_to_have_a_label_excludes_that_label_only(rows_of):
    rows = rows_of(
        "isarcasmeval",
        train=[{"text": "Great, rain again. Just what I wanted.", "sarcastic": 1}, {"text": "It rains.", "sarcastic": 0}],
        test_task_a=[{"text": "Lunch at noon", "sarcastic": 0}],
    )
    assert rows["Great, rain again. Just what I wanted."].labels == {"tone": ("sarcastic",)}
    assert rows["It rains."].labels == {}
    assert rows["It rains."].excluded == {"tone": ("sarcastic",)}


def test_what_stands_alone_gives_way_to_a_topic(rows_of):
    rows = rows_of(
        "ecom_cosmetics_opinion",
        train=[
            {"text": "挺好，到货快", "Categories": ["整体", "物流"], "Polarities": ["正面", "正面"]},
            {"text": "挺好", "Categories": ["整体"], "Polarities": ["正面"]},
            {"text": "香味好闻，就是贵", "Categories": ["气味", "价格"], "Polarities": ["正面", "负面"]},
        ],
    )
    assert rows["挺好，到货快"].labels["category"] == ("delivery",)
    assert rows["挺好，到货快"].excluded == {"category": ("general",)}
    assert rows["挺好"].labels == {"sentiment": ("positive",), "category": ("general",)}
    assert rows["香味好闻，就是贵"].labels == {"category": ("product_quality", "price")}


def test_two_columns_must_agree(rows_of):
    rows = rows_of(
        "itrc_instagram",
        all=[
            {"text": "سرعت اینترنت خوب شد", "sentiment": 1, "label": 1},
            {"text": "کی وصل می‌شود؟", "sentiment": -1, "label": 0},
        ],
    )
    assert [row.labels["sentiment"] for row in rows.values()] == [("positive",)]


def test_filters_and_conditions_hold_together(folder, taxonomy, tmp_path):
    def tweet(text, sentiment, sure, reason=None, reason_sure=None):
        return {
            "text": text,
            "airline_sentiment": sentiment,
            "airline_sentiment_confidence": sure,
            "negativereason": reason,
            "negativereason_confidence": reason_sure,
        }

    path = folder(
        all=[
            tweet("two hours on the phone, nobody answers", "negative", 1.0, "Customer Service Issue", 0.9),
            tweet("my suitcase is gone", "negative", 1.0, "Lost Luggage", 0.4),
            tweet("my Cancelled Flightled trip", "negative", 1.0, "Cancelled Flight", 1.0),
            tweet("hm", "neutral", 0.5),
            tweet("when do you fly to Oslo?", "neutral", 0.8),
        ]
    )
    report = import_to_file("twitter_us_airline", path, tmp_path / "rows.parquet", taxonomy)
    rows = {row.text: row for row in read_rows(tmp_path / "rows.parquet", taxonomy)}
    assert report.dropped == {
        "the label's own words were put into the text": 1,
        "the labellers were not sure (below 0.65)": 1,
    }
    assert rows["two hours on the phone, nobody answers"].labels["category"] == ("customer_service",)
    assert "category" not in rows["my suitcase is gone"].labels
    assert rows["when do you fly to Oslo?"].labels == {"sentiment": ("neutral",)}


def test_keys_of_a_json_cell_are_its_labels(rows_of):
    rows = rows_of(
        "parsinlu_sentiment",
        train=[
            {"text": "گران است ولی خوشمزه", "domain": "food", "sentiment": "3", "aspects": '{"ارزش خرید": "-1", "طعم": "1"}'},
            {"text": "بازی‌ها عالی بود", "domain": "movie", "sentiment": "2", "aspects": '{"بازی": "2"}'},
        ],
        dev=[{"text": "خوب", "domain": "food", "sentiment": "1", "aspects": "{}"}],
        test=[{"text": "بد", "domain": "food", "sentiment": "-2", "aspects": "{}"}],
    )
    assert rows["گران است ولی خوشمزه"].labels == {"category": ("product_quality", "price")}
    assert rows["گران است ولی خوشمزه"].known == {"category": ("product_quality", "delivery", "price")}
    assert rows["بازی‌ها عالی بود"].known == {"category": ("product_quality",)}
    assert rows["خوب"].labels == {"sentiment": ("positive",)}


def test_a_cell_that_is_no_json_is_named(folder, taxonomy):
    record = {"text": "خوب", "domain": "food", "sentiment": "1", "aspects": "{طعم"}
    with pytest.raises(DataError, match="split test: aspects is not as parsinlu_sentiment describes it"):
        import_source(Source.read("parsinlu_sentiment"), folder(train=[record], dev=[record], test=[record]), taxonomy)


def test_a_value_that_says_nothing_leaves_only_what_the_others_say(rows_of):
    def sentence(text, category, polarity, source="laptops train"):
        return {"text": text, "category": category, "polarity": polarity, "source": source}

    rows = rows_of(
        "semeval_absa",
        train=[
            sentence("cheap, and the keys are easy to find", ["LAPTOP#PRICE", "KEYBOARD#USABILITY"], ["positive", "positive"]),
            sentence("cheap, but switches itself off", ["LAPTOP#PRICE", "OS#OPERATION_PERFORMANCE"], ["positive", "negative"]),
            sentence("The clerk never came", ["SERVICE#GENERAL"], ["negative"], "restaurants train"),
        ],
        test=[sentence("Soup was fine", ["food"], [""], "restaurants test")],
    )
    whole, partly = rows["cheap, and the keys are easy to find"], rows["cheap, but switches itself off"]
    assert whole.labels == {"sentiment": ("positive",), "category": ("usability", "price")}
    assert len(whole.known["category"]) == 6
    assert partly.labels == {"category": ("price",)}
    assert partly.known == {"category": ("price",)}
    assert rows["The clerk never came"].labels["category"] == ("customer_service",)
    assert rows["Soup was fine"].split == "test"


def test_rows_of_one_text_are_united_where_the_set_has_a_row_for_each_label(rows_of):
    text = "Add a dark theme. It also shuts down at times."
    rows = rows_of(
        "maalej_app_reviews", all=[{"text": text, "label": label, "rating": 2} for label in ("Bug", "Feature", "Rating")]
    )
    assert rows[text].labels == {"category": ("bug_report", "feature_request"), "sentiment": ("negative",)}


def test_a_text_with_contradictory_labels_is_dropped_and_counted(folder, taxonomy, tmp_path):
    path = folder(all=[{"text": text, "label": label} for text, label in [("还行", 1), ("还行", 0), ("好吃", 1), ("好吃", 1)]])
    report = import_to_file("waimai_10k", path, tmp_path / "rows.csv", taxonomy)
    assert report.dropped == {"the same text with contradictory labels": 2, "the same text again": 1}
    assert report.read == report.written + sum(report.dropped.values()) == 4


def test_a_contradiction_in_one_task_leaves_the_other(rows_of):
    lines = [{"text": "你去哪儿", "Emotion": emotion, "DA": "question"} for emotion in ("anger", "neutral")]
    row = rows_of("cped", valid=lines, test=[{"text": "好", "Emotion": "relaxed", "DA": "irony"}])["你去哪儿"]
    assert row.labels == {"category": ("question",)}


def test_the_first_rule_that_says_something_decides_a_task_with_one_label(rows_of):
    line = {"text": "你可真聪明", "Emotion": "happy", "DA": "irony"}
    assert rows_of("cped", valid=[line], test=[line | {"text": "好"}])["你可真聪明"].labels["tone"] == ("sarcastic",)


def test_an_altered_text_keeps_its_original_and_the_id_of_it(rows_of):
    sentence = {"category": ["LAPTOP#GENERAL"], "sentiment_name": ["negative"]}
    rows = rows_of(
        "laptop_acos",
        train=[sentence | {"text": "i wouldn ' t buy it again ."}],
        dev=[sentence | {"text": "never again"}],
        test=[sentence | {"text": "no"}],
    )
    row = rows["i wouldn't buy it again."]
    assert row.extra["original"] == "i wouldn ' t buy it again ."
    assert row.id == row_id("laptop_acos", "i wouldn ' t buy it again .")
    assert "original" not in rows["never again"].extra


def test_the_text_is_left_as_the_set_has_it(rows_of):
    text = "  ارسال كند بود 😡\r\n"
    others = {split: [{"text": split, "label": "SAD"}] for split in ("validation", "test")}
    assert text in rows_of("snappfood", train=[{"text": text, "label": "SAD"}], **others)


def test_texts_of_another_source_are_avoided(folder, taxonomy):
    path = folder(
        all=[
            {"text": "دوربينش خوبه", "polarity": 1, "sid": "cr-1"},
            {"text": "باتری ضعیف است", "polarity": -1, "sid": "-"},
            {"text": "این گوشی دو رنگ دارد", "polarity": 0, "sid": "rev-3"},
        ],
        deepsentipers__train=[{"text": "دوربینش خوبه .", "label": 1}],
        deepsentipers__test=[{"text": "گران است", "label": -1}],
    )
    rows = list(import_source(Source.read("sentipers"), path, taxonomy))
    assert [row.text for row in rows] == ["باتری ضعیف است"]


def test_several_columns_are_joined_and_a_filter_may_hold_for_one_split(rows_of):
    rows = rows_of(
        "digikala_recommend",
        train=[{"title": "پشیمانم", "text": "زود شکست", "recommend": "not_recommended"}],
        test=[
            {"title": None, "text": "خوب است", "recommend": "recommended", "also_in_train": False},
            {"title": "عالی", "text": "راضی‌ام", "recommend": "recommended", "also_in_train": True},
        ],
    )
    assert {text: row.split for text, row in rows.items()} == {"خوب است": "test", "پشیمانم\nزود شکست": None}


def test_values_that_the_source_does_not_map_are_named_with_their_count(folder, taxonomy):
    path = folder(all=[{"text": str(number), "label": number % 4} for number in range(8)])
    with pytest.raises(DataError, match=r"split all, sentiment from label: '2' \(2\), '3' \(2\)"):
        import_source(Source.read("waimai_10k"), path, taxonomy)


def test_a_missing_column_is_named_beside_those_found(folder, taxonomy):
    with pytest.raises(DataError, match=r"no column 'label'\. Columns found: 'text', 'score'"):
        import_source(Source.read("waimai_10k"), folder(all=[{"text": "好", "score": 1}]), taxonomy)


def test_a_missing_split_is_named_beside_those_found(folder, taxonomy):
    path = folder(train=[{"text": "خوب", "label": "HAPPY"}], dev=[{"text": "بد", "label": "SAD"}])
    with pytest.raises(DataError, match=r"no split validation, test\. Found: dev\.parquet, train\.parquet"):
        import_source(Source.read("snappfood"), path, taxonomy)


def test_one_split_can_be_imported_alone_and_says_what_it_was_not_compared_with(folder, taxonomy, tmp_path):
    path = folder(train=[{"text": "خوب", "label": "HAPPY"}])
    report = import_to_file("snappfood", path, tmp_path / "rows.jsonl", taxonomy, split="train")
    assert (report.written, report.not_found) == (1, ("test",))
    assert "not at hand, so not compared with: test" in report.to_text()


def test_a_file_of_any_name_can_be_imported_when_its_split_is_named(folder, taxonomy):
    path = folder(mine=[{"text": "خوب", "label": "HAPPY"}]) / "mine.parquet"
    with pytest.raises(DataError, match="which split is it"):
        import_source(Source.read("snappfood"), path, taxonomy)
    assert [row.split for row in import_source(Source.read("snappfood"), path, taxonomy, split="test")] == ["test"]


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ("nowhere", "no such file or folder"),
        ("notes.txt", "not a table"),
        ("empty", "Found: nothing"),
        ("all.jsonl", "cannot be read as json"),
    ],
)
def test_an_origin_that_cannot_be_read_is_named(tmp_path, taxonomy, origin, message):
    (tmp_path / "notes.txt").write_text("no table")
    (tmp_path / "all.jsonl").write_text('{"text": ')
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        import_source(Source.read("waimai_10k"), tmp_path / origin, taxonomy)


def test_a_split_that_the_set_does_not_have_is_named(folder, taxonomy):
    with pytest.raises(DataError, match=r"waimai_10k has no split 'test' \(its splits: all\)"):
        import_source(Source.read("waimai_10k"), folder(all=[{"text": "好", "label": 1}]), taxonomy, split="test")


def test_a_taxonomy_without_the_labels_is_refused_and_the_other_tasks_can_be_imported(folder, taxonomy):
    small = Taxonomy.from_dict({"tasks": {"sentiment": taxonomy.to_dict()["tasks"]["sentiment"]}})
    path = folder(train=[{"text": "很香", "Categories": ["气味"], "Polarities": ["正面"]}])
    source = Source.read("ecom_cosmetics_opinion")
    with pytest.raises(DataError, match="task 'category' is not in the taxonomy"):
        import_source(source, path, small)
    assert [row.labels for row in import_source(source, path, small, tasks=("sentiment",))] == [{"sentiment": ("positive",)}]


def test_a_set_of_a_hub_is_imported_like_files(monkeypatch, taxonomy):
    import datasets

    asked = []

    def load_dataset(*names):
        asked.append(names)
        splits = {
            name: datasets.Dataset.from_list([{"text": f"my card? {name}", "category": "card_arrival"}])
            for name in ("train", "test")
        }
        return datasets.DatasetDict(splits)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    rows = list(import_source(Source.read("banking77"), "some-company/banking:small", taxonomy))
    assert asked == [("some-company/banking", "small")]
    assert {row.split: row.labels["category"] for row in rows} == {None: ("delivery", "question"), "test": ("delivery", "question")}


def test_a_hub_that_does_not_answer_is_named(monkeypatch, taxonomy):
    import datasets

    def load_dataset(*names):
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(
        DataError, match=r"some-company/banking: no such file or folder, and the hub gave no set .* Couldn't reach the Hub"
    ):
        import_source(Source.read("banking77"), "some-company/banking", taxonomy)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_written_rows_read_back_as_they_were(folder, taxonomy, tmp_path, ending):
    path = folder(
        a_train=[{"text": "Please add tabs", "label": 1}, {"text": "I use it daily", "label": 0}],
        a_dev=[{"text": "A map would help", "label": 1}],
        a_test=[{"text": "It is blue", "label": 0}],
    )
    report = import_to_file("semeval2019_suggestions", path, tmp_path / f"rows.{ending}", taxonomy)
    expected = list(import_source(Source.read("semeval2019_suggestions"), path, taxonomy))
    assert list(read_rows(tmp_path / f"rows.{ending}", taxonomy)) == expected
    assert report.labels == {"category": {"feature_request": 2, "none of those known": 2}}


def test_the_report_tells_what_became_of_every_row(folder, taxonomy, tmp_path):
    path = folder(all=[{"text": "好", "label": 1}, {"text": "", "label": 1}, {"text": "差", "label": 0}])
    report = import_to_file("waimai_10k", path, tmp_path / "rows.jsonl", taxonomy).to_text()
    for line in ("read 3 rows, wrote 2", "dropped 1: empty text", "sentiment: positive 1, negative 1", "licence silent"):
        assert line in report


def test_nothing_is_written_when_no_row_is_left(folder, taxonomy, tmp_path):
    path = folder(all=[{"text": "", "label": 1}])
    with pytest.raises(DataError, match="no row of waimai_10k is left to write"):
        import_to_file("waimai_10k", path, tmp_path / "rows.jsonl", taxonomy)
    assert not (tmp_path / "rows.jsonl").exists()


def test_one_text_in_several_spellings_is_one_row(folder, taxonomy, tmp_path):
    texts = ["عالي بود", "عالی  بود", "عالیییییی بود", "عالیییی بود", "عالی بود!"]
    path = folder(all=[{"text": text, "label": 1} for text in texts] + [{"text": "\u200c", "label": 1}])
    report = import_to_file("waimai_10k", path, tmp_path / "rows.jsonl", taxonomy)
    assert [row.text for row in read_rows(tmp_path / "rows.jsonl", taxonomy)] == ["عالي بود", "عالیییییی بود", "عالی بود!"]
    assert report.dropped == {"the same text again": 2, "empty text": 1}


def test_all_sets_under_a_folder_are_imported_each_into_a_file_of_its_name(tmp_path, taxonomy):
    for place, split, columns in (
        ("zh/waimai_10k", "all", {"text": ["好吃", "难吃"], "label": [1, 0]}),
        ("en/isarcasmeval", "train", {"text": ["oh great"], "rephrase": ["this is bad"], "sarcastic": ["1"]}),
        ("fa/unknown-set", "all", {"text": ["سلام"], "label": [1]}),
    ):
        (tmp_path / "sets" / place).mkdir(parents=True)
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "sets" / place / f"{split}.parquet")
    pyarrow.parquet.write_table(
        pyarrow.table({"text": ["so good"], "rephrase": [None], "sarcastic": ["0"]}),
        tmp_path / "sets" / "en" / "isarcasmeval" / "test_task_a.parquet",
    )
    reports = list(import_all(tmp_path / "sets", tmp_path / "rows", taxonomy))
    assert {report.source.name for report in reports} == {"waimai_10k", "isarcasmeval", "isarcasmeval_rephrased"}
    assert sorted(path.name for path in (tmp_path / "rows").iterdir()) == [
        "isarcasmeval.parquet",
        "isarcasmeval_rephrased.parquet",
        "waimai_10k.parquet",
    ]
    assert [row.text for row in read_rows(tmp_path / "rows" / "isarcasmeval_rephrased.parquet", taxonomy)] == ["this is bad"]


def test_a_folder_without_any_known_set_is_told(tmp_path, taxonomy):
    (tmp_path / "sets" / "elsewhere").mkdir(parents=True)
    with pytest.raises(DataError, match="no folder of a known set is under it"):
        list(import_all(tmp_path / "sets", tmp_path / "rows", taxonomy))
    assert not (tmp_path / "rows").exists()


def test_importing_the_module_loads_no_datasets():
    code = "import sys, data.importer; sys.exit(any(name in sys.modules for name in ('datasets', 'torch', 'pyarrow')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
