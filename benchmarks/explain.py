"""Whether the sentences that explanations name are those that count (docs/serving.md, Explanations).

    python benchmarks/explain.py --model runs/quickstart [ROWS ...] [--messages 200]

From files of rows (the written corpus if none), an equal number of messages a language of three sentences and more is drawn by a
fixed seed. For each label that the model gives, every sentence in turn is cut out of the message *as it was sent*, by the offsets,
and the rest is sent as a message of its own. The named sentence is right where cutting it out lowers the label's probability more
than cutting out another: any other (the strictest reading), or another on average (one drawn by chance).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from data.text import mend
from serving.classifier import FeedbackClassifier
from serving.prediction import Prediction
from serving.sentences import sentences

CORPUS = ("data/corpus/zh.jsonl", "data/corpus/en.jsonl", "data/corpus/fa.jsonl")
LEAST_SENTENCES = 3


def draw(paths: Sequence[str], classifier: FeedbackClassifier, count: int) -> list[str]:
    """Messages of three sentences and more, as many of each language as there are to `count` in all."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for line in Path(path).read_text("utf-8").splitlines():
            row = json.loads(line)
            text, language = row["text"], row.get("language", "")
            if len(text) <= classifier.max_characters and len(sentences(mend(text).text)) >= LEAST_SENTENCES:
                found[language].append(text)
    chance = random.Random(1)
    most = count // max(1, len(found))
    return [text for language in sorted(found) for text in chance.sample(found[language], min(most, len(found[language])))]


def spans(text: str) -> list[tuple[int, int]]:
    """Where the sentences stand in the message as it was sent, with the spaces after them, so that nothing else is cut."""
    mended = mend(text)
    return [mended.original_span(start, end) for start, end in sentences(mended.text)]


def score(prediction: Prediction, task: str, label: str) -> float:
    return prediction.answers[task].scores[label]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", default=CORPUS, help="JSON Lines with `text` and `language`")
    parser.add_argument("--model", required=True)
    parser.add_argument("--messages", type=int, default=200)
    options = parser.parse_args()
    classifier = FeedbackClassifier.load(options.model)
    texts = draw(options.rows, classifier, options.messages)
    started = time.perf_counter()
    classifier.predict(texts)
    plain_s, started = time.perf_counter() - started, time.perf_counter()
    explained = classifier.predict(texts, explain=True)
    explained_s = time.perf_counter() - started

    labels: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for text, whole in zip(texts, explained, strict=True):
        assert isinstance(whole, Prediction), text
        cuts = spans(text)
        rests = classifier.predict([text[:start] + text[end:] for start, end in cuts], languages=[whole.language.code] * len(cuts))
        for task, answer in whole.answers.items():
            for choice in answer.choices:
                assert choice.sentences, (text, choice)
                first = choice.sentences[0]
                named = next(place for place, (start, end) in enumerate(cuts) if start <= first.start < end)
                # A rest that cannot be read has lost the label altogether.
                left = [score(rest, task, choice.label) if isinstance(rest, Prediction) else 0.0 for rest in rests]
                others = [value for place, value in enumerate(left) if place != named]
                row = (left[named] < min(others), left[named] < sum(others) / len(others))
                for group in (whole.language.code, f"task {task}", "all"):
                    labels[group].append(row)
    print(f"model {classifier.version}, {len(texts)} messages of {LEAST_SENTENCES} sentences and more\n")
    print(f"{'':16}{'labels':>8}{'more than any other':>22}{'than another on average':>26}")
    for group in sorted(labels, key=lambda group: (group == "all", group.startswith("task"), group)):
        rows = labels[group]
        strict, average = (100 * sum(row[place] for row in rows) / len(rows) for place in (0, 1))
        print(f"{group:16}{len(rows):8,}{strict:20.1f} %{average:24.1f} %")
    times, each = explained_s / plain_s, 1000 * explained_s / len(texts)
    print(f"\nexplaining takes {times:.1f} times as long as classifying ({each:.0f} ms a message)")


if __name__ == "__main__":
    main()
