"""Texts of several lengths as one rectangle."""

from training.padding import padded


def test_shorter_texts_are_filled_and_the_mask_says_where():
    input_ids, attention_mask = padded([[1, 5, 2], [1, 2], []], pad_id=7)
    assert input_ids.tolist() == [[1, 5, 2], [1, 2, 7], [7, 7, 7]]
    assert attention_mask.tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
