"""The tasks and their labels, read from a file (contract 1 of docs/contracts.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from data.errors import TaxonomyError
from data.toml_files import read_toml

DEFAULT_TAXONOMY = Path(__file__).with_name("taxonomy.toml")
DISPLAY_LANGUAGES = ("zh", "en", "fa")
PREDICTION_COLUMNS = (
    "id", "text", "language", "source", "split", "departments", "priority", "abstained", "repairs", "warnings", "model",
    "error", "answers",
)  # fmt: skip
"""Names that a task may not have: they are columns of a row or of a labelled file."""
TASK_SUFFIXES = ("_known", "_not", "_probability", "_probabilities", "_scores")
"""A task may not end so: the name would collide with a column of another task."""
MAX_PRIORITY = 3


@dataclass(frozen=True)
class Label:
    name: str
    display: Mapping[str, str]
    """How people read it, by language code."""
    about: str
    departments: tuple[str, ...] = ()
    exclusive: bool = False
    """Stands alone: never together with another label of its task."""


@dataclass(frozen=True)
class Task:
    name: str
    kind: str
    """`single`: exactly one label. `multi`: any number of labels."""
    labels: tuple[Label, ...]
    at_least_one: bool
    abstain_below: float
    """Probability, 0 to 1, under which the best answer is left to a person."""
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(label.name for label in self.labels))

    @property
    def single(self) -> bool:
        return self.kind == "single"

    def index(self, label: str) -> int:
        """Position of a label; TaxonomyError, with the nearest name, if it is unknown."""
        try:
            return self.names.index(label)
        except ValueError:
            raise TaxonomyError(self.unknown(label)) from None

    def unknown(self, label: str) -> str:
        """Say that a label is unknown, and which is nearest."""
        near = get_close_matches(label, self.names, n=1, cutoff=0.4)
        hint = f"nearest: '{near[0]}'" if near else f"known: {', '.join(self.names)}"
        return f"{self.name} '{label}' is not in the taxonomy ({hint})"


@dataclass(frozen=True)
class PriorityRule:
    task: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Taxonomy:
    version: str
    tasks: tuple[Task, ...]
    priority_rules: tuple[PriorityRule, ...] = ()
    priority_zero: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path = DEFAULT_TAXONOMY) -> Taxonomy:
        """Read a taxonomy file. TaxonomyError names every fault found, at once."""
        path = Path(path)
        document = read_toml(path, TaxonomyError, f". Name a taxonomy, or leave it out to use {DEFAULT_TAXONOMY}.")
        return cls.from_dict(document, where=str(path))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], where: str = "taxonomy") -> Taxonomy:
        """Build from the parsed file, or from the copy inside a model folder's manifest."""
        faults: list[str] = []
        if unknown := sorted(set(document) - {"version", "tasks", "priority"}):
            faults.append(f"unknown keys {', '.join(unknown)} (known: version, tasks, priority)")
        tasks = document.get("tasks")
        if not isinstance(tasks, Mapping) or not tasks:
            raise TaxonomyError(f"{where}: no tasks. Write at least one [tasks.NAME] table with labels.")
        parsed = tuple(_task(name, table, faults) for name, table in tasks.items())
        names = {task.name: task for task in parsed}
        for name in names:
            for other in names:
                if name != other and name in {other + suffix for suffix in TASK_SUFFIXES}:
                    faults.append(f"task '{name}' collides with a column of task '{other}'. Rename it.")
        priority = document.get("priority", {})
        rules = tuple(PriorityRule(str(rule.get("task")), tuple(rule.get("labels", ()))) for rule in priority.get("rules", ()))
        zero = {str(task): tuple(labels) for task, labels in priority.get("zero", {}).items()}
        for task_name, labels in [*((rule.task, rule.labels) for rule in rules), *zero.items()]:
            if task_name not in names:
                faults.append(f"priority: task '{task_name}' is not defined (tasks: {', '.join(names)})")
                continue
            faults += [f"priority: {names[task_name].unknown(label)}" for label in labels if label not in names[task_name].names]
        if faults:
            raise TaxonomyError(f"{where}:\n  " + "\n  ".join(faults))
        return cls(str(document.get("version", "1")), parsed, rules, zero)

    def to_dict(self) -> dict[str, Any]:
        """The same document as the file; `Taxonomy.from_dict` reads it back."""
        return {
            "version": self.version,
            "tasks": {
                task.name: {
                    "kind": task.kind,
                    "at_least_one": task.at_least_one,
                    "abstain_below": task.abstain_below,
                    "labels": [
                        {"name": label.name, **label.display, "about": label.about,
                         "departments": list(label.departments), "exclusive": label.exclusive}
                        for label in task.labels
                    ],
                }
                for task in self.tasks
            },
            "priority": {
                "zero": {task: list(labels) for task, labels in self.priority_zero.items()},
                "rules": [{"task": rule.task, "labels": list(rule.labels)} for rule in self.priority_rules],
            },
        }  # fmt: skip

    def __getitem__(self, task: str) -> Task:
        for candidate in self.tasks:
            if candidate.name == task:
                return candidate
        raise TaxonomyError(f"no task '{task}' in the taxonomy (tasks: {', '.join(self.task_names)})")

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    @property
    def task_names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)

    @property
    def size(self) -> int:
        """How many labels all tasks have together: the rows of the joint head."""
        return sum(len(task.labels) for task in self.tasks)

    def columns(self, task: str) -> slice:
        """Where a task's labels stand in the joint logits, shape (messages, size)."""
        start = 0
        for candidate in self.tasks:
            if candidate.name == task:
                return slice(start, start + len(candidate.labels))
            start += len(candidate.labels)
        raise TaxonomyError(f"no task '{task}' in the taxonomy (tasks: {', '.join(self.task_names)})")

    def departments(self, answers: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        """Departments of the answers' labels, without repeats, in the taxonomy's order."""
        found: dict[str, None] = {}
        for task in self.tasks:
            given = set(answers.get(task.name, ()))
            for label in task.labels:
                if label.name in given:
                    found.update(dict.fromkeys(label.departments))
        return tuple(found)

    def priority(self, answers: Mapping[str, Sequence[str]]) -> int:
        """0 to 3: one for each rule that holds; 0 whenever an answer of `zero` is given."""
        for task, labels in self.priority_zero.items():
            if set(labels) & set(answers.get(task, ())):
                return 0
        score = sum(bool(set(rule.labels) & set(answers.get(rule.task, ()))) for rule in self.priority_rules)
        return min(score, MAX_PRIORITY)


def _task(name: str, table: Any, faults: list[str]) -> Task:
    where = f"task '{name}'"
    if not isinstance(table, Mapping):
        faults.append(f"{where}: write it as a table [tasks.{name}]")
        return Task(name, "single", (), False, 0.0)
    if not name.isidentifier():
        faults.append(f"{where}: use letters, digits and underscores only")
    if name in PREDICTION_COLUMNS:
        faults.append(f"{where}: the name is taken by a column of a labelled file. Rename the task.")
    known = {"kind", "at_least_one", "abstain_below", "labels"}
    if unknown := sorted(set(table) - known):
        faults.append(f"{where}: unknown keys {', '.join(unknown)} (known: {', '.join(sorted(known))})")
    kind = table.get("kind")
    if kind not in ("single", "multi"):
        faults.append(f'{where}: kind is {kind!r}; write "single" or "multi"')
    abstain_below = table.get("abstain_below", 0.0)
    if not isinstance(abstain_below, int | float) or isinstance(abstain_below, bool) or not 0 <= abstain_below <= 1:
        faults.append(f"{where}: abstain_below is {abstain_below!r}; write a probability from 0 to 1")
        abstain_below = 0.0
    labels = []
    for entry in table.get("labels", ()):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str) or not entry["name"].strip():
            faults.append(f"{where}: a label without a name")
            continue
        label = entry["name"]
        allowed = {"name", "about", "departments", "exclusive", *DISPLAY_LANGUAGES}
        if unknown := sorted(set(entry) - allowed):
            faults.append(f"{where}, label '{label}': unknown keys {', '.join(unknown)}")
        if "|" in label or label != label.strip():
            faults.append(
                f"{where}, label '{label}': no '|' and no spaces at the ends, since labelled CSV files join labels by '|'"
            )
        if entry.get("exclusive") and kind == "single":
            faults.append(f"{where}, label '{label}': exclusive has a meaning only in a multi task")
        labels.append(
            Label(
                label,
                {code: str(entry[code]) for code in DISPLAY_LANGUAGES if code in entry},
                str(entry.get("about", "")),
                tuple(entry.get("departments", ())),
                bool(entry.get("exclusive", False)),
            )
        )
    names = [label.name for label in labels]
    if repeated := sorted({label for label in names if names.count(label) > 1}):
        faults.append(f"{where}: labels stand twice: {', '.join(repeated)}")
    if len(names) < 2:
        faults.append(f"{where}: needs at least two labels, has {len(names)}")
    return Task(name, str(kind), tuple(labels), bool(table.get("at_least_one", False)), float(abstain_below))
