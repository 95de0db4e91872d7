import numpy as np
import pytest

from data.rows import Row
from data.taxonomy import Taxonomy
from training.encoding import Collate, encode_targets, label_frequencies, positive_weights, row_weights, without_unlearnable

TAXONOMY = Taxonomy.read()
SENTIMENT, CATEGORY = TAXONOMY.columns("sentiment"), TAXONOMY.columns("category")


def targets(*rows):
    return encode_targets(rows, TAXONOMY)


def test_a_labelled_single_task_considers_every_label():
    made = targets(Row("a", {"sentiment": ("negative",)}))
    assert made.positive[0, SENTIMENT].tolist() == [0, 0, 1]
    assert made.considered[0, SENTIMENT].tolist() == [1, 1, 1]
    assert not made.considered[0, CATEGORY].any()


def test_labels_that_the_row_could_not_have_been_given_stay_unknown():
    made = targets(Row("a", {"sentiment": ("positive",)}, known={"sentiment": ("positive", "negative")}))
    assert made.considered[0, SENTIMENT].tolist() == [1, 0, 1]


def test_a_row_that_knows_only_what_it_is_not_leaves_the_rest_open():
    made = targets(Row("a", excluded={"tone": ("sarcastic",)}))
    tone = TAXONOMY.columns("tone")
    assert made.positive[0, tone].tolist() == [1, 1, 1, 1, 0, 1]
    assert made.considered[0, tone].all()
    assert made.known(TAXONOMY, "tone").tolist() == [True]


def test_a_multi_task_considers_only_what_is_known():
    made = targets(
        Row("a", {"category": ("price",)}),
        Row("b", {"category": ()}, known={"category": ("question",)}),
        Row("c", excluded={"category": ("payment",)}),
        Row("d"),
    )
    question, payment = (CATEGORY.start + TAXONOMY["category"].index(name) for name in ("question", "payment"))
    assert made.considered[0, CATEGORY].all()
    assert made.considered[1].nonzero()[0].tolist() == [question]
    assert made.considered[2].nonzero()[0].tolist() == [payment]
    assert made.positive[1:].sum() == 0
    assert made.known(TAXONOMY, "category").tolist() == [True, True, True, False]


def test_unknown_tasks_weigh_nothing_and_known_ones_one_on_average():
    rows = [Row("a", {"sentiment": ("negative",)}, source="x")] * 9 + [Row("b", {"tone": ("calm",)}, source="y")]
    weights = row_weights(rows, encode_targets(rows, TAXONOMY), TAXONOMY, class_balance=0.5, source_balance=0.5)
    assert weights[:9, 0].mean() == pytest.approx(1.0)
    assert weights[9].tolist() == pytest.approx([0.0, 1.0, 0.0])


def test_balancing_gives_rare_labels_and_small_sources_more_weight():
    rows = [Row("a", {"sentiment": ("negative",)}, source="x")] * 8 + [Row("b", {"sentiment": ("neutral",)}, source="x")] * 2
    weights = row_weights(rows, encode_targets(rows, TAXONOMY), TAXONOMY, class_balance=1.0, source_balance=0.0)
    assert weights[0, 0] * 8 == pytest.approx(weights[9, 0] * 2)
    rows = [Row("a", {"sentiment": ("negative",)}, source="x")] * 8 + [Row("b", {"sentiment": ("negative",)}, source="y")] * 2
    weights = row_weights(rows, encode_targets(rows, TAXONOMY), TAXONOMY, class_balance=0.0, source_balance=1.0)
    assert weights[0, 0] * 8 == pytest.approx(weights[9, 0] * 2)


def test_frequencies_and_positive_weights_count_known_rows_only():
    rows = [Row("a", {"category": ("question",)}, known={"category": ("question",)})] + [
        Row("b", {"category": ()}, known={"category": ("question",)})
    ] * 3
    made = encode_targets(rows, TAXONOMY)
    question = CATEGORY.start + TAXONOMY["category"].index("question")
    assert label_frequencies(made)[question] == pytest.approx(0.25)
    assert positive_weights(made, 1.0)[question] == pytest.approx(3.0)
    assert positive_weights(made, 1.0)[CATEGORY.start] == 10.0  # never seen: the bound


def test_a_label_that_every_row_or_no_row_has_is_left_out_with_the_reason():
    rows = [Row("a", {"category": ("question",)}, known={"category": ("question", "price")})] * 3
    made, reasons = without_unlearnable(encode_targets([*rows, Row("b", {"sentiment": ("negative",)})], TAXONOMY), TAXONOMY)
    assert reasons["category.question"] == "all 3 rows that know it have it"
    assert reasons["category.price"] == "no row has it"
    assert not made.considered[:, CATEGORY].any()
    assert made.positive[3, SENTIMENT].tolist() == [0, 0, 1]
    mixed = encode_targets([*rows, Row("c", {"category": ()}, known={"category": ("question",)})], TAXONOMY)
    assert "category.question" not in without_unlearnable(mixed, TAXONOMY)[1]


def test_a_batch_is_padded_to_its_longest_row():
    item = {"positive": np.zeros(3, np.float32), "considered": np.zeros(3, np.float32), "weight": np.ones(1, np.float32)}
    batch = Collate(pad_id=7)([{"input_ids": [1, 5, 2], **item}, {"input_ids": [1, 2], **item}])
    assert batch["input_ids"].tolist() == [[1, 5, 2], [1, 2, 7]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
