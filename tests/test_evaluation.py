from dataclasses import replace

import numpy as np
import pytest

from data.errors import DataError
from data.rows import Row, write_rows
from data.taxonomy import Taxonomy
from training.answers import Answers, answer
from training.baseline import Baseline
from training.compare import compare
from training.evaluation import evaluate, evaluate_files
from training.intervals import calibration_interval
from training.metrics import Judged, calibration_error, confidence
from training.report import summary, write_report
from training.slices import is_latin_persian, is_short, is_traditional

TAXONOMY = Taxonomy.read()


def labelled(count=60):
    made = []
    for number in range(count):
        good = number % 2 == 0
        language, word = (
            ("zh", "很好" if good else "太差"),
            ("en", "great" if good else "awful"),
            ("fa", "عالی" if good else "افتضاح"),
        )[number % 3]
        labels = {
            "sentiment": ("positive" if good else "negative",),
            "category": ("general",) if good else ("price", "payment"),
        }
        made.append(Row(f"{word} {number}", labels, language=language, source="made", id=str(number)))
    return made


def answers_for(rows, wrong=()):
    """Answers that are right but for the numbered rows."""
    chosen = np.zeros((len(rows), TAXONOMY.size), bool)
    for number, row in enumerate(rows):
        for task, labels in row.labels.items():
            start = TAXONOMY.columns(task).start
            given = labels if number not in wrong else (TAXONOMY[task].names[1],)
            for label in given:
                chosen[number, start + TAXONOMY[task].index(label)] = True
    scores = np.where(chosen, 0.9, 0.05).astype(np.float32)
    ones = np.ones(len(rows), bool)
    return Answers(chosen, scores, np.zeros((len(rows), 3), bool), ones, tuple(row.language for row in rows))


def test_figures_stand_by_task_language_and_slice_and_skip_unknown_tasks():
    rows = labelled()
    result = evaluate(TAXONOMY, rows, answers_for(rows))
    assert set(result["tasks"]) == {"sentiment", "category"}
    assert set(result["tasks"]["sentiment"]) == {"all", "zh", "en", "fa"}
    assert result["tasks"]["sentiment"]["zh"]["macro_f1"] == 1.0
    assert result["slices"]["source made"]["category"]["rows"] == 60
    assert result["tasks"]["sentiment"]["all"]["confusion"][2] == [0, 0, 30]


def test_wrong_answers_lower_the_figure_and_widen_the_interval():
    rows = labelled()
    cell = evaluate(TAXONOMY, rows, answers_for(rows, wrong=range(0, 20)))["tasks"]["sentiment"]["all"]
    low, high = cell["macro_f1_interval"]
    assert low < cell["macro_f1"] < high < 1.0
    assert cell["accuracy"] == pytest.approx(40 / 60, abs=1e-4)


def test_the_model_is_evaluated_through_the_classifier_that_serves_it(classifier):
    rows = [*labelled(9), Row(" ", {"sentiment": ("neutral",)}, language="en")]
    answers = answer(classifier, rows)
    assert answers.answered.tolist() == [True] * 9 + [False]
    predicted = classifier.predict([rows[0].text])[0]
    columns = classifier.taxonomy.columns("tone")
    assert answers.scores[0, columns].tolist() == pytest.approx(list(predicted.answers["tone"].scores.values()))
    result = evaluate(classifier.taxonomy, rows, answers)
    assert (result["rows"], result["refused"]) == (10, 1)


def test_the_baseline_learns_words_that_decide():
    rows = labelled(120)
    baseline = Baseline(TAXONOMY).fit(rows[:90], rows[90:105])
    result = evaluate(TAXONOMY, rows[105:], baseline.answer(rows[105:]))
    assert result["tasks"]["sentiment"]["all"]["accuracy"] > 0.9


def test_the_baseline_stands_beside_and_a_loss_to_it_is_said():
    rows = labelled()
    result = evaluate(TAXONOMY, rows, answers_for(rows, wrong=range(0, 30)), baseline=answers_for(rows))
    text = summary({"test": result, "demonstration": True, "training": {"rows": {"train": 42}}})
    assert "below the baseline" in text
    assert "demonstration only (trained on 42 rows)" in text
    assert result["baseline_mean_macro_f1"] == 1.0


def test_the_page_holds_figures_and_pictures_and_nothing_from_outside(tmp_path):
    rows = labelled()
    metrics = {"test": evaluate(TAXONOMY, rows, answers_for(rows)), "demonstration": False}
    path = tmp_path / "report.html"
    write_report(path, {"label_order": {task.name: list(task.names) for task in TAXONOMY}, "model_version": "1+a"}, metrics)
    page = path.read_text("utf-8")
    assert page.count("data:image/png;base64,") == 12  # sentiment: two pictures in four cells, category: one
    assert "http" not in page
    assert 'src="data:' in page


def test_rows_that_know_nothing_cannot_be_evaluated():
    rows = [Row("hello", language="en")]
    with pytest.raises(DataError, match="none of the 1 rows knows a label of sentiment, tone, category"):
        evaluate(TAXONOMY, rows, answers_for(rows))
    with pytest.raises(DataError, match="no rows"):
        evaluate(TAXONOMY, [], answers_for([]))
    with pytest.raises(DataError, match="knows a label of sentiment, tone, category"):
        compare(TAXONOMY, rows, answers_for(rows), answers_for(rows), ("1+a", "1+b"))


def test_a_comparison_says_which_is_better_and_lists_what_changed():
    rows = labelled()
    result = compare(TAXONOMY, rows, answers_for(rows, wrong=range(0, 30)), answers_for(rows, wrong=[3]), ("1+a", "1+b"))
    cell = next(cell for cell in result.differences if (cell.task, cell.language) == ("sentiment", "all"))
    assert cell.verdict == "B is better"
    assert cell.low > 0
    changed = {(change.id, change.task) for change in result.changes}
    assert ("0", "sentiment") in changed
    assert ("3", "sentiment") not in changed
    assert "B is better" in result.to_text()
    assert result.to_dict()["differences"][0]["verdict"]


def test_equal_models_have_no_clear_difference():
    rows = labelled()
    result = compare(TAXONOMY, rows, answers_for(rows, wrong=[1]), answers_for(rows, wrong=[1]), ("1+a", "1+b"))
    assert {cell.verdict for cell in result.differences} == {"no clear difference"}
    assert not result.changes


@pytest.mark.parametrize(
    ("text", "language", "short", "traditional", "latin"),
    [
        ("快递很慢", "zh", True, False, False),
        ("客服態度真的很差，等了兩個鐘頭", "zh", False, True, False),
        ("not good", "en", True, False, False),
        ("salam chera baste man nareside hanooz", "fa", False, False, True),
        ("بسته من هنوز نرسیده است", "fa", False, False, False),
    ],
)
def test_slices_are_told_apart(text, language, short, traditional, latin):
    row = Row(text, language=language)
    assert (is_short(row), is_traditional(text), is_latin_persian(row)) == (short, traditional, latin)


def test_a_perfect_model_has_a_perfect_interval_however_rare_a_label_is():
    names = TAXONOMY["category"].names[:6]
    rows = [Row(f"late {n}", {"category": (names[min(n, 5)],)}, language="en") for n in range(40)]
    cell = evaluate(TAXONOMY, rows, answers_for(rows))["tasks"]["category"]["all"]
    assert cell["macro_f1"] == 1.0
    assert cell["macro_f1_interval"] == [1.0, 1.0]


@pytest.mark.parametrize("seed", range(8))
def test_the_calibration_error_lies_inside_its_interval(seed):
    generator = np.random.default_rng(seed)
    task, count = TAXONOMY["sentiment"], 120
    sure = generator.uniform(0.5, 0.99, count)
    right = np.zeros((count, 3), bool)
    right[np.arange(count), np.where(generator.random(count) < sure, 0, 1)] = True
    scores = np.stack([sure, (1 - sure) / 2, (1 - sure) / 2], axis=1).astype(np.float32)
    given = np.zeros_like(right)
    given[:, 0] = True
    judged = Judged(task, given, right, np.ones_like(right), scores)
    low, high = calibration_interval(judged, 0)
    assert 0 <= low <= calibration_error(*confidence(judged)) <= high <= 1


def test_the_baseline_is_judged_on_the_rows_that_the_model_answered():
    rows = labelled(60)
    answers, baseline = answers_for(rows), answers_for(rows, wrong=range(0, 10))
    answers.answered[:10] = False
    cell = evaluate(TAXONOMY, rows, answers, baseline)["tasks"]["sentiment"]["all"]
    assert cell["rows"] == 50
    assert cell["baseline"]["macro_f1"] == 1.0


def test_a_label_that_all_rows_have_does_not_make_the_baseline_give_it_to_every_message():
    asked = [Row(f"ask {n}", {"category": ("question",)}, known={"category": ("question",)}) for n in range(20)]
    rows = labelled(120)
    told = [replace(row, known={"category": ("general", "price", "payment")}) for row in rows]
    given = Baseline(TAXONOMY).fit([*told[:90], *asked], told[90:105]).answer(rows[105:])
    question = TAXONOMY.columns("category").start + TAXONOMY["category"].index("question")
    assert not given.chosen[:, question].any()


def test_a_baseline_is_not_trained_on_the_rows_that_are_evaluated(model_path, tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, [replace(row, split="train") for row in labelled(60)], TAXONOMY)
    with pytest.raises(DataError, match="no row to train the baseline on"):
        evaluate_files(model_path, [str(path)], baseline_rows=[str(path)])


def test_a_page_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(DataError, match=r"page\.html: the page cannot be written: No such file or directory"):
        write_report(tmp_path / "nowhere" / "page.html", {}, {})
