"""What the original labels of a row come to for a task: a label, labels, or labels that are wrong.

Unknown is never "no": a value that says nothing leaves a task unknown, and a text that is labelled twice in
different ways is believed in neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.mapping import EMPTY_LIST, Meaning, Rule, plain
from data.taxonomy import Task


@dataclass(frozen=True)
class Answer:
    """What is known of one row and one task."""

    labels: tuple[str, ...] | None
    known: tuple[str, ...] = ()
    """None: every label of the task."""
    excluded: tuple[str, ...] = ()
    weak: bool = False


def values(rule: Rule, record: Mapping[str, Any]) -> list[str]:
    """The values that a rule looks up in a record; a list gives one each."""
    found: list[str] = []
    for name in rule.fields:
        cell = record[name]
        if rule.json_keys:
            cell = list(json.loads(cell)) if cell else []
        if rule.pair:
            beside = record[rule.pair]
            if not isinstance(cell, list):
                cell, beside = [cell], [beside]
            cell = [f"{plain(first)}|{plain(second)}" for first, second in zip(cell, beside, strict=True)]
        if isinstance(cell, list):
            found += [plain(element) for element in cell] or [EMPTY_LIST]
        else:
            found.append(plain(cell))
    return found


def agreed(task: Task, rule: Rule, meanings: Sequence[Meaning]) -> Answer | None:
    """What all values say alike of a task with one label; None if they differ or say nothing."""
    first = meanings[0]
    if first.silent or any((m.labels, m.one_of, m.excluded) != (first.labels, first.one_of, first.excluded) for m in meanings):
        return None
    weak = any(meaning.weak for meaning in meanings)
    if first.labels is not None:
        return Answer(first.labels, _ordered(task, first.known or rule.known), weak=weak)
    excluded = [name for name in task.names if name not in first.one_of] if first.one_of else first.excluded
    return Answer(None, (), _ordered(task, excluded), weak)


def united(task: Task, rule: Rule, meanings: Sequence[Meaning]) -> Answer | None:
    """All that the values say of a task with several labels.

    A value that says nothing could stand for any label: then only the labels that others give are known.
    """
    labels = {label for meaning in meanings for label in meaning.labels or ()}
    excluded = {label for meaning in meanings for label in meaning.excluded}
    given = [meaning for meaning in meanings if meaning.labels is not None]
    if not given or (not labels and len(given) < len(meanings)):
        return Answer(None, (), _ordered(task, excluded)) if excluded else None
    known = labels.union(*(meaning.known for meaning in given))
    if len(given) == len(meanings):
        known.update(*((rule.known or task.names) for meaning in given if not meaning.known))
    return Answer(_ordered(task, labels), _ordered(task, known), _ordered(task, excluded), any(m.weak for m in meanings))


def merged(task: Task, answers: Sequence[Answer], union: bool) -> Answer | None:
    """What several answers about one text and task come to; None if they contradict one another."""
    weak = any(answer.weak for answer in answers)
    given = [answer for answer in answers if answer.labels is not None]
    labels = {label for answer in given for label in answer.labels or ()}
    known = {label for answer in given for label in answer.known or task.names}
    wrong = {label for answer in answers for label in answer.excluded}
    if task.single:
        if len(labels) > 1 or labels & wrong or len(wrong) == len(task.names):
            return None
        if not labels:
            return Answer(None, (), _ordered(task, wrong), weak)
        return Answer(tuple(labels), _ordered(task, known), (), weak)
    # A label given by one answer and denied by another, which could have given it.
    denied = {label for answer in given for label in (answer.known or task.names) if label not in (answer.labels or ())}
    if not union and labels & (denied | wrong):
        return None
    alone = {label.name for label in task.labels if label.exclusive}
    if labels - alone:
        # Something is spoken of, so what stands alone is wrong.
        labels, wrong = labels - alone, wrong | alone
    if not given:
        return Answer(None, (), _ordered(task, wrong), weak)
    return Answer(_ordered(task, labels), _ordered(task, known), _ordered(task, wrong - labels), weak)


def _ordered(task: Task, labels: Iterable[str]) -> tuple[str, ...]:
    chosen = set(labels)
    return tuple(name for name in task.names if name in chosen)
