"""How a model behaves: answers that must not change, answers that must, and pairs that only a reader of meaning gets right.

After Ribeiro et al. 2020, Beyond Accuracy: Behavioral Testing of NLP Models with CheckList (invariance, direction, minimum
functionality). The messages stand in `data/behaviour/` and `data/corpus/contrast/`; none is ever trained on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from data.taxonomy import Taxonomy
from serving.classifier import FeedbackClassifier
from serving.prediction import Failure, Prediction
from training.behaviour_cases import ADDITIONS, CORPUS, ERASED, Message, invariance_cases, own_messages, read_records

logger = logging.getLogger(__name__)

CONTRAST = CORPUS / "contrast"
PARALLEL = {
    "scripts_zh": ("simplified", "traditional"),
    "scripts_fa": ("persian", "latin"),
    "trilingual": ("zh", "en", "fa"),
}
"""Files of messages in several versions, which must get the same answers; and the keys of the versions."""
MESSAGES_PER_ADDITION = 15
ALREADY_SURE = 0.05
"""A label that must become more probable passes within this of 1, one that must become less probable within this of 0."""
CHUNK = 512

Results = Mapping[str, Prediction | Failure]


def measure_behaviour(classifier: FeedbackClassifier, seed: int = 0) -> dict[str, Any]:
    """Pass rates by kind and language with their counts, as `metrics.json` has them under `behaviour`.

    Labels that the classifier's taxonomy does not know are left out; of another taxonomy only the invariance remains.
    """
    taxonomy = classifier.taxonomy
    cases = invariance_cases(seed)
    additions = list(_additions(taxonomy))
    pairs = read_records(CONTRAST / "pairs.jsonl")
    parallel = {name: read_records(CONTRAST / f"{name}.jsonl") for name in PARALLEL}
    texts = [text for case in cases for text in (case.original, case.changed)]
    texts += [text for _, message, added in additions for text in (message.text, added)]
    texts += [pair[side]["text"] for pair in pairs for side in "ab"]
    texts += [record[key] for name, keys in PARALLEL.items() for record in parallel[name] for key in keys]
    results = _predict(classifier, texts)

    kinds: dict[str, dict[str, list[tuple[str, ...]]]] = {}
    for case in cases:
        kinds.setdefault(case.kind, {}).setdefault(case.language, []).append((case.original, case.changed))
    invariance = {
        kind: {language: _sameness(taxonomy, found, results) for language, found in by_language.items()}
        for kind, by_language in kinds.items()
    }
    measured: dict[str, Any] = {
        "texts": len(results),
        "invariance": {kind: cells for kind, cells in invariance.items() if kind not in ERASED},
        "erased": {kind: cells for kind, cells in invariance.items() if kind in ERASED},
        "direction": _direction(additions, results),
        "contrast": _contrast(taxonomy, pairs, results),
        "parallel": {
            name: _sameness(taxonomy, [tuple(record[key] for key in keys) for record in parallel[name]], results)
            for name, keys in PARALLEL.items()
        },
    }
    measured["invariance_by_language"] = {
        language: _sameness(
            taxonomy,
            [pair for kind, by_language in kinds.items() if kind not in ERASED for pair in by_language.get(language, [])],
            results,
        )
        for language in dict.fromkeys(case.language for case in cases)
    }
    return measured


def _predict(classifier: FeedbackClassifier, texts: Iterable[str]) -> Results:
    """Each text once."""
    unique = list(dict.fromkeys(texts))
    logger.info("Behaviour: %d texts", len(unique))
    results: dict[str, Prediction | Failure] = {}
    for start in range(0, len(unique), CHUNK):
        part = unique[start : start + CHUNK]
        results.update(zip(part, classifier.predict(part), strict=True))
    return results


def _sameness(taxonomy: Taxonomy, groups: Sequence[tuple[str, ...]], results: Results) -> dict[str, Any]:
    """Of groups of texts that must get the same answers: how often each task's answer is the same for the whole group.

    `same` is the mean over the tasks, `all_tasks` the share of groups in which no task differs; a multi task's answer is its
    set of labels.
    """
    same = [[len({_labels(results[text], task) for text in group}) == 1 for task in taxonomy.task_names] for group in groups]
    by_task = {task: _share(row[number] for row in same) for number, task in enumerate(taxonomy.task_names)}
    return {
        "count": len(groups),
        "same": _share(answer for row in same for answer in row),
        "all_tasks": _share(map(all, same)),
        "tasks": by_task,
    }


def _labels(result: Prediction | Failure, task: str) -> tuple[str, ...] | None:
    return result.answers[task].labels if isinstance(result, Prediction) else None


# Direction


def _additions(taxonomy: Taxonomy) -> Iterator[tuple[Mapping[str, Any], Message, str]]:
    """(addition, message, the message with it) wherever the message has the labels that the addition is meant for."""
    messages = own_messages()
    for addition in read_records(ADDITIONS):
        expected = {way: _known(addition.get(way, {}), taxonomy) for way in ("falls", "rises", "adds")}
        if not any(expected.values()):
            continue
        for language, words in addition["text"].items():
            meant = [
                message
                for message in messages
                if message.language == language
                and all(message.labels.get(task) in labels for task, labels in addition["to"].items())
                and not any(set(labels) & set(message.labels.get(task, ())) for task, labels in expected["adds"].items())
            ]
            step = max(1, len(meant) // MESSAGES_PER_ADDITION)
            for message in meant[::step][:MESSAGES_PER_ADDITION]:
                yield {"name": addition["name"], **expected}, message, message.text + words


def _known(labels: Mapping[str, Sequence[str]], taxonomy: Taxonomy) -> dict[str, list[str]]:
    """By task, the labels that the taxonomy has."""
    kept = {
        task: [label for label in wanted if label in taxonomy[task].names]
        for task, wanted in labels.items()
        if task in taxonomy.task_names
    }
    return {task: wanted for task, wanted in kept.items() if wanted}


def _direction(additions: Sequence[tuple[Mapping[str, Any], Message, str]], results: Results) -> dict[str, Any]:
    """By way (`falls`, `rises`, `adds`), and by addition with every expectation met: count and share that passed, a language."""
    found: dict[str, dict[str, list[bool]]] = {}
    for addition, message, added in additions:
        before, after = results[message.text], results[added]
        met = {way: _meets(way, addition[way], before, after) for way in ("falls", "rises", "adds") if addition[way]}
        for key, passed in (*met.items(), (f"addition: {addition['name']}", all(met.values()))):
            found.setdefault(key, {}).setdefault(message.language, []).append(passed)
    return {
        key: {language: {"count": len(passed), "passed": _share(passed)} for language, passed in by_language.items()}
        for key, by_language in found.items()
    }


def _meets(way: str, labels: Mapping[str, Sequence[str]], before: Prediction | Failure, after: Prediction | Failure) -> bool:
    if not isinstance(before, Prediction) or not isinstance(after, Prediction):
        return False
    for task, names in labels.items():
        for name in names:
            was, now = before.answers[task].scores[name], after.answers[task].scores[name]
            if way == "adds" and name not in after.answers[task].labels:
                return False
            if way == "falls" and not (now < was or now <= ALREADY_SURE):
                return False
            if way == "rises" and not (now > was or now >= 1 - ALREADY_SURE):
                return False
    return True


# Minimum functionality


def _contrast(taxonomy: Taxonomy, pairs: Sequence[Mapping[str, Any]], results: Results) -> dict[str, Any]:
    """Pairs of messages of which a small change turns the answer, by language and by kind of turn.

    Counted over pair × task wherever the two messages differ in that task: `both_right`, and by task. A multi task's answer is
    right if its set of labels is.
    """
    found: dict[str, list[tuple[str, bool]]] = {}
    for pair in pairs:
        for task in taxonomy.task_names:
            wanted = [_right_labels(taxonomy, task, pair[side].get(task)) for side in "ab"]
            if None in wanted or wanted[0] == wanted[1]:
                continue
            right = all(
                set(_labels(results[pair[side]["text"]], task) or ()) == labels for side, labels in zip("ab", wanted, strict=True)
            )
            for key in (pair["language"], f"turn: {pair['turn']}"):
                found.setdefault(key, []).append((task, right))
    return {
        key: {
            "count": len(judged),
            "both_right": _share(right for _, right in judged),
            "tasks": {
                task: {"count": len(of_task), "both_right": _share(of_task)}
                for task in taxonomy.task_names
                if (of_task := [right for name, right in judged if name == task])
            },
        }
        for key, judged in found.items()
    }


def _right_labels(taxonomy: Taxonomy, task: str, written: str | Sequence[str] | None) -> set[str] | None:
    """The labels as a set; None where the record has none or one that the taxonomy does not know."""
    if written is None:
        return None
    labels = {written} if isinstance(written, str) else set(written)
    return labels if labels <= set(taxonomy[task].names) else None


def _share(passed: Iterable[bool]) -> float:
    counted = list(passed)
    return round(sum(counted) / len(counted), 4) if counted else float("nan")
