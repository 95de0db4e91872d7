"""One function labels texts: in order, the same alone and among others, and it never raises for a single bad text."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tiny_model import make_tiny_model

from data.errors import ModelFolderError
from data.taxonomy import Taxonomy
from data.text import mend
from serving import model_folder as files
from serving.classifier import FeedbackClassifier, available_cores
from serving.labels import decide_task, pool_windows, probabilities
from serving.model_folder import ModelFolder
from serving.prediction import Failure, Prediction

COMPLAINTS = {"zh": "快递太差，我要退款", "en": "terrible parcel, I want a refund", "fa": "بسته افتضاح بود، بازپرداخت می‌خواهم"}
TEXTS = [*COMPLAINTS.values(), "这部手机很好用", "great phone", "گوشی عالی است", "parcel " * 40]
TAXONOMY = Taxonomy.read()


def answer(result: Prediction | Failure) -> Prediction:
    assert isinstance(result, Prediction), result
    return result


@pytest.mark.parametrize("language", COMPLAINTS)
def test_a_complaint_in_each_language_gets_labels_departments_and_priority(classifier: FeedbackClassifier, language: str) -> None:
    prediction = answer(classifier.predict([COMPLAINTS[language]])[0])
    assert prediction.language.code == language
    assert prediction.answers["sentiment"].labels == ("negative",)
    assert prediction.answers["category"].labels == ("delivery", "payment")
    assert prediction.departments == ("logistics", "finance")
    assert prediction.priority >= 2
    assert prediction.model == classifier.version


def test_every_task_of_the_taxonomy_is_answered_in_its_order(classifier: FeedbackClassifier) -> None:
    prediction = answer(classifier.predict(["great"])[0])
    assert tuple(prediction.answers) == TAXONOMY.task_names
    for task in TAXONOMY:
        scores = prediction.answers[task.name].scores
        assert tuple(scores) == task.names
        assert all(0 <= score <= 1 for score in scores.values())
        if task.single:
            assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_order_and_ids_are_kept(classifier: FeedbackClassifier) -> None:
    ids = [str(number) for number in range(len(TEXTS))]
    results = classifier.predict(TEXTS, ids=ids)
    assert [result.id for result in results] == ids
    assert [answer(result).answers for result in results] == [answer(classifier.predict([text])[0]).answers for text in TEXTS]


def test_no_texts_give_no_results(classifier: FeedbackClassifier) -> None:
    assert classifier.predict([]) == []


def test_the_same_text_gives_the_same_answer_alone_among_others_and_again(classifier: FeedbackClassifier) -> None:
    alone = [classifier.predict([text])[0] for text in TEXTS]
    assert classifier.predict(TEXTS) == alone
    assert classifier.predict(TEXTS[::-1])[::-1] == alone


def test_the_same_text_gives_the_same_answer_from_several_threads(classifier: FeedbackClassifier) -> None:
    alone = classifier.predict(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        assert all(result == alone for result in pool.map(classifier.predict, [TEXTS] * 16))


def test_the_number_of_threads_changes_nothing(model_folder: ModelFolder, classifier: FeedbackClassifier) -> None:
    one = FeedbackClassifier.load(model_folder, threads=1)
    assert one.predict(TEXTS) == classifier.predict(TEXTS)
    one.close()


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", "empty", "empty or blank"),
        (" \n\t\u3000", "empty", "empty or blank"),
        ("很" * 2001, "too_long", "2,001 characters; at most 2,000"),
        ("خوب " * 300_000, "too_long", "at most 2,000"),
        (None, "not_text", "must be text, this is NoneType"),
        (5, "not_text", "must be text, this is int"),
    ],
    ids=["nothing", "blank", "long", "a megabyte", "none", "number"],
)
def test_a_text_that_cannot_be_read_fails_in_its_place_and_spoils_no_other(
    classifier: FeedbackClassifier, text: Any, code: str, message: str
) -> None:
    before, failure, after = classifier.predict(["great", text, "عالی"], ids=["a", "b", "c"])
    assert isinstance(failure, Failure)
    assert (failure.id, failure.code) == ("b", code)
    assert message in failure.message
    assert answer(before) == classifier.predict(["great"], ids=["a"])[0]
    assert answer(after) == classifier.predict(["عالی"], ids=["c"])[0]
    assert classifier.predict([text], ids=["b"]) == [failure]


def test_repairs_of_the_text_are_named(classifier: FeedbackClassifier) -> None:
    text = "اين گوشي عالي بود"  # with the Arabic forms of the Persian letters
    assert mend(text).repairs
    assert answer(classifier.predict([text])[0]).repairs == mend(text).repairs


def test_half_a_character_is_labelled_and_warned_of(classifier: FeedbackClassifier) -> None:
    prediction = answer(classifier.predict(["great \ud83d"])[0])
    assert prediction.answers["sentiment"].labels == ("positive",)
    assert "garbled" in prediction.warnings


def test_a_language_that_is_not_supported_is_labelled_with_a_warning(classifier: FeedbackClassifier) -> None:
    prediction = answer(classifier.predict(["great"], languages=["de"])[0])
    assert prediction.language.code == "de"
    assert not prediction.language.supported
    assert "unsupported_language" in prediction.warnings


def test_a_language_that_is_given_is_not_guessed(classifier: FeedbackClassifier) -> None:
    given, guessed = classifier.predict(["great", "great"], languages=["fa", None])
    assert answer(given).language.code == "fa"
    assert answer(guessed).language.code == "en"


def test_lists_of_different_lengths_are_refused(classifier: FeedbackClassifier) -> None:
    with pytest.raises(ValueError, match="2 texts, 1 ids and 2 languages"):
        classifier.predict(["a", "b"], ids=["1"])


def test_a_text_in_place_of_a_list_is_refused(classifier: FeedbackClassifier) -> None:
    with pytest.raises(TypeError, match="takes a list of texts"):
        classifier.predict("great")


def test_a_long_text_is_read_to_its_end(classifier: FeedbackClassifier) -> None:
    filler = "okay " * 60
    plain = answer(classifier.predict([filler])[0])
    late = answer(classifier.predict([filler + "refund refund"])[0])
    assert "payment" not in plain.answers["category"].labels
    assert "payment" in late.answers["category"].labels


def test_a_labels_probability_does_not_hang_on_where_windows_begin(classifier: FeedbackClassifier) -> None:
    """Each window is weighted by what it adds: a text of one repeated word has the same mean however often it is repeated."""
    short, long = classifier.predict(["terrible " * 10, "terrible " * 200])
    for label, score in answer(short).answers["sentiment"].scores.items():
        assert answer(long).answers["sentiment"].scores[label] == pytest.approx(score, abs=0.02)


def test_pooling_weighs_single_tasks_and_takes_a_topic_named_anywhere() -> None:
    rows = np.zeros((2, TAXONOMY.size), dtype=np.float32)
    sentiment, category = TAXONOMY.columns("sentiment"), TAXONOMY.columns("category")
    payment = category.start + TAXONOMY["category"].index("payment")
    general = category.start + TAXONOMY["category"].index("general")
    rows[0, sentiment.start] = 4.0
    rows[1, payment] = 3.0
    rows[:, general] = [2.0, -2.0]
    pooled = pool_windows(rows, np.array([3.0, 1.0], dtype=np.float32), TAXONOMY)
    assert pooled.shape == (TAXONOMY.size,)
    assert pooled[sentiment.start] == pytest.approx(3.0)  # the mean, three quarters of the text
    assert pooled[payment] == pytest.approx(3.0)  # named anywhere counts
    assert pooled[general] == pytest.approx(-2.0)  # stands alone: must hold everywhere


def test_one_window_is_not_touched_by_pooling() -> None:
    row = np.arange(TAXONOMY.size, dtype=np.float32)
    assert np.array_equal(pool_windows(row[None], np.ones(1, dtype=np.float32), TAXONOMY), row)


def test_probabilities_are_softmax_or_sigmoid_over_temperature() -> None:
    tone, category = TAXONOMY["tone"], TAXONOMY["category"]
    single = probabilities(tone, np.array([2.0, 0, 0, 0, 0, 0], dtype=np.float32), 2.0)
    assert single[0] == pytest.approx(np.e / (np.e + 5))
    multi = probabilities(category, np.full(len(category.names), 1e9, dtype=np.float32), 1.0)
    assert np.isfinite(multi).all()
    assert multi == pytest.approx(1.0)


def scores_of(**given: float) -> np.ndarray:
    category = TAXONOMY["category"]
    scores = np.full(len(category.names), 0.05, dtype=np.float32)
    for label, score in given.items():
        scores[category.index(label)] = score
    return scores


def test_labels_over_their_own_thresholds_are_given_in_the_taxonomys_order() -> None:
    chosen = decide_task(TAXONOMY["category"], scores_of(payment=0.9, delivery=0.35, price=0.45), {"delivery": 0.3})
    assert chosen.labels == ("delivery", "payment")
    assert not chosen.abstained


def test_at_least_one_label_is_given_where_the_task_asks_for_it() -> None:
    chosen = decide_task(TAXONOMY["category"], scores_of(price=0.3), {})
    assert chosen.labels == ("price",)
    assert chosen.abstained


def test_a_label_that_stands_alone_is_never_given_with_another() -> None:
    category = TAXONOMY["category"]
    assert decide_task(category, scores_of(general=0.9, price=0.6), {}).labels == ("general",)
    assert decide_task(category, scores_of(general=0.6, price=0.9, delivery=0.7), {}).labels == ("delivery", "price")


def test_a_taxonomy_of_other_names_and_a_fourth_task_needs_no_change(tmp_path: Path) -> None:
    document = TAXONOMY.to_dict()
    document["tasks"]["urgency"] = {
        "kind": "single", "at_least_one": False, "abstain_below": 0.2,
        "labels": [{"name": name, "about": "", "departments": [], "exclusive": False} for name in ("立刻", "later")],
    }  # fmt: skip
    folder = make_tiny_model(tmp_path / "four", Taxonomy.from_dict(document))
    classifier = FeedbackClassifier.load(folder, threads=1)
    prediction = answer(classifier.predict(["great"])[0])
    assert tuple(prediction.answers) == ("sentiment", "tone", "category", "urgency")
    assert prediction.answers["urgency"].labels[0] in ("立刻", "later")
    classifier.close()


def broken_copy(model_folder: ModelFolder, output: Path, name: str, content: bytes) -> Path:
    """A folder whose hashes are right and whose one file is not what it should be."""
    sections = {key: value for key, value in model_folder.manifest.items() if key not in files.OWN_KEYS}

    def fill(aside: Path) -> dict[str, Any]:
        for listed in model_folder.manifest["files"]:
            (aside / listed).write_bytes((model_folder.path / listed).read_bytes())
        (aside / name).write_bytes(content)
        return sections

    return ModelFolder.create(output, fill).path


@pytest.mark.parametrize("name", [files.TOKENIZER, files.ONNX_DATA])
def test_a_file_that_does_not_load_is_a_model_folder_error(model_folder: ModelFolder, tmp_path: Path, name: str) -> None:
    path = broken_copy(model_folder, tmp_path / "broken", name, b"not a model")
    with pytest.raises(ModelFolderError, match="The folder does not load"):
        FeedbackClassifier.load(path)


def test_a_network_that_is_no_onnx_file_is_refused_before_a_folder_is_made(model_folder: ModelFolder, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="is not an ONNX file"):
        broken_copy(model_folder, tmp_path / "broken", files.ONNX, b"not a model")
    assert not (tmp_path / "broken").exists()


def test_a_network_of_another_size_than_the_taxonomy_is_refused(model_folder: ModelFolder, tmp_path: Path) -> None:
    document = TAXONOMY.to_dict()
    del document["tasks"]["tone"]
    document["priority"] = {"rules": [], "zero": {}}
    other = make_tiny_model(tmp_path / "two_tasks", Taxonomy.from_dict(document))
    sections = {key: value for key, value in model_folder.manifest.items() if key not in files.OWN_KEYS}

    def fill(aside: Path) -> dict[str, Any]:
        for listed in other.manifest["files"]:
            (aside / listed).write_bytes((other.path / listed).read_bytes())
        return sections

    path = ModelFolder.create(tmp_path / "mixed", fill).path
    with pytest.raises(ModelFolderError, match="gives 15 logits, the taxonomy has 21 labels"):
        FeedbackClassifier.load(path)


def test_a_network_with_other_inputs_is_refused(model_folder: ModelFolder, tmp_path: Path) -> None:
    network = onnx.load(model_folder.path / files.ONNX, load_external_data=False)
    network.graph.input[1].name = "token_type_ids"
    network.graph.node[1].input[0] = "token_type_ids"
    path = broken_copy(model_folder, tmp_path / "other", files.ONNX, network.SerializeToString())
    with pytest.raises(ModelFolderError, match="takes input_ids, token_type_ids; must take input_ids and attention_mask"):
        FeedbackClassifier.load(path)


def test_at_least_one_core_is_found_and_no_thread_is_refused(model_folder: ModelFolder) -> None:
    assert available_cores() >= 1
    with pytest.raises(ValueError, match="at least one is needed"):
        FeedbackClassifier.load(model_folder, threads=0)


def test_classifying_in_a_fresh_process_loads_no_training_library(model_path: Path) -> None:
    program = (
        "import sys\n"
        "from serving.classifier import FeedbackClassifier\n"
        f"print(FeedbackClassifier.load({str(model_path)!r}).predict(['great'])[0].to_dict()['answers']['sentiment']['label'])\n"
        "print([name for name in ('torch', 'transformers', 'sklearn', 'datasets', 'bentoml', 'pandas') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["positive", "[]"]


def test_a_device_that_is_not_there_is_refused_with_what_is(model_path):
    with pytest.raises(ModelFolderError, match=r"device 'tpu' is not there: ONNX Runtime has cpu.*install onnxruntime-gpu"):
        FeedbackClassifier.load(model_path, device="tpu")
