"""What there is to say about the corpus in figures: read from its files, used by its card and by its tests."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log1p
from pathlib import Path
from typing import Any

from data.annotations import Annotation, read_overlay
from data.errors import DataError
from data.rows import Row, read_rows
from data.sources import find_source, read_sources
from data.split import near_duplicate_groups, skeleton
from data.taxonomy import Taxonomy

CORPUS = Path(__file__).parents[1] / "data" / "corpus"
LANGUAGES = ("zh", "en", "fa")
EXERCISES = "exercises"
SECOND_READING = "readings/written.jsonl"
OPENING_CHARACTERS = {"zh": 5}
"""Of languages without spaces; of the others an opening is OPENING_WORDS words."""
OPENING_WORDS = 2
FOLDS = 5

_ARABIC_SCRIPT = re.compile("[\u0600-\u06ff]")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}|\u0640")
_EMOJI = re.compile("[\u2600-\u27bf\u2b50\U0001f300-\U0001faff]")
_LETTER_PAIR = "[\u0620-\u064a\u066e-\u06d3]"
_FEATURES_OF_PERSIAN = {
    "in Latin letters": re.compile(r"\A[^\u0600-\u06ff]*\Z"),
    "with the Arabic letters ي or ك": re.compile("[يك]"),
    "with a half-space (U+200C)": re.compile("\u200c"),
    "with می or نمی joined by a half-space": re.compile(r"\bن?می\u200c"),
    "with می or نمی and a space instead": re.compile(r"(?<!\w)ن?می (?=[\u0620-\u06d3])"),
    "with می or نمی and nothing between": re.compile(rf"(?<!\w)ن?می(?=خو|کن|ش|ر[هسی]|د[هیو]|گ|آ|زن|تون){_LETTER_PAIR}"),
    "with Persian digits (۰ to ۹)": re.compile("[۰-۹]"),
    "with Latin digits (0 to 9)": re.compile("[0-9]"),
}


@dataclass(frozen=True)
class Pair:
    """The labels that two readings gave one message."""

    language: str
    first: Mapping[str, Sequence[str]]
    second: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Corpus:
    taxonomy: Taxonomy
    rows: Mapping[str, list[Row]]
    """The written part, by language."""
    read_twice: tuple[Pair, ...]
    """Of the written part: the first labels, also where they were settled otherwise, and the blind second reading's."""
    settled: int
    """Rows of `read_twice` whose labels were settled by a third reading."""
    overlays: Mapping[str, list[Annotation]]
    """The real part, by the name of its set."""
    languages: Mapping[str, str]
    """By set."""
    exercises: Mapping[str, list[Row]]
    """Rows that only train, by language: pairs, the same message in three languages, Persian in Latin letters."""
    contrast: Mapping[str, list[dict[str, Any]]]
    """The sets that are never trained on, by file name without ending."""

    @classmethod
    def read(cls, folder: Path = CORPUS, taxonomy: Taxonomy | None = None) -> Corpus:
        """Read all files of the corpus. Parts that are missing are empty; DataError for what cannot be read."""
        taxonomy = taxonomy or Taxonomy.read()
        rows = {code: list(read_rows(folder / f"{code}.jsonl", taxonomy)) for code in LANGUAGES}
        read_twice, settled = _second_reading(folder / SECOND_READING, rows, taxonomy)
        overlays = {path.stem: read_overlay(path, taxonomy) for path in sorted((folder / "annotations").glob("*.jsonl"))}
        sources = read_sources()
        languages = {name: find_source(name, sources).language for name in overlays}
        exercises = {
            code: list(read_rows(path, taxonomy)) for code in LANGUAGES if (path := folder / EXERCISES / f"{code}.jsonl").is_file()
        }
        contrast = {path.stem: _objects(path) for path in sorted((folder / "contrast").glob("*.jsonl"))}
        return cls(taxonomy, rows, read_twice, settled, overlays, languages, exercises, contrast)

    @property
    def all_rows(self) -> list[Row]:
        return [row for rows in self.rows.values() for row in rows]

    def annotations(self, language: str) -> list[Annotation]:
        return [entry for name, entries in self.overlays.items() if self.languages[name] == language for entry in entries]

    @property
    def annotated_twice(self) -> tuple[Pair, ...]:
        """Of the real part: the first two readings of what was read twice."""
        return tuple(
            Pair(self.languages[name], entry.readings[0], entry.readings[1])
            for name, entries in self.overlays.items()
            for entry in entries
            if len(entry.readings) > 1
        )

    def contrast_texts(self) -> list[str]:
        """Every text of the contrast sets."""
        return [text for entries in self.contrast.values() for entry in entries for text in texts_of(entry)]


def texts_of(entry: Mapping[str, Any]) -> list[str]:
    """The texts of a contrast entry: those of its sides, or one a language or script."""
    sides = [value["text"] for value in entry.values() if isinstance(value, Mapping)]
    names = ("zh", "en", "fa", "persian", "latin", "simplified", "traditional")
    return sides or [entry[name] for name in names if name in entry]


def _objects(path: Path) -> list[dict[str, Any]]:
    entries = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON: {error}. Correct the line.") from error
        if not isinstance(entry, dict):
            raise DataError(f"{path}:{number}: not a JSON object in braces. Correct the line.")
        entries.append(entry)
    return entries


def _second_reading(path: Path, rows: Mapping[str, list[Row]], taxonomy: Taxonomy) -> tuple[tuple[Pair, ...], int]:
    """Pairs of readings. A row that was dropped after a dispute counts too, as long as its first labels are kept."""
    if not path.is_file():
        return (), 0
    by_id = {row.id: (code, row) for code, of_language in rows.items() for row in of_language}
    pairs, settled = [], 0
    for number, entry in enumerate(_objects(path), 1):
        code, row = by_id.get(entry.get("id"), (str(entry.get("id")).partition("-")[0], None))
        first = _named(entry["first"], taxonomy) if "first" in entry else row.labels if row else None
        if first is None or code not in rows:
            raise DataError(f"{path}:{number}: no row '{entry.get('id')}' in the corpus, and no first labels. Drop the line.")
        pairs.append(Pair(code, first, _named(entry, taxonomy)))
        settled += bool(entry.get("settled"))
    return tuple(pairs), settled


def _named(entry: Mapping[str, Any], taxonomy: Taxonomy) -> dict[str, tuple[str, ...]]:
    found = {task.name: entry[task.name] for task in taxonomy if task.name in entry}
    return {name: (given,) if isinstance(given, str) else tuple(given) for name, given in found.items()}


def label_counts(labels: Iterable[Mapping[str, Sequence[str]]], task: str) -> Counter[str]:
    return Counter(label for given in labels for label in given.get(task, ()))


def several_labels_share(rows: Sequence[Row], task: str) -> float:
    """Share of the rows with two labels or more, 0 to 1."""
    return sum(len(row.labels[task]) > 1 for row in rows) / len(rows)


def openings(rows: Sequence[Row]) -> Counter[str]:
    """How often each opening occurs: five characters of Chinese, two words of the others; letter case aside."""
    counts: Counter[str] = Counter()
    for row in rows:
        text = row.text.casefold()
        length = OPENING_CHARACTERS.get(row.language or "")
        counts[text[:length] if length else " ".join(text.split()[:OPENING_WORDS])] += 1
    return counts


def near_duplicate_rate(texts: Sequence[str]) -> float:
    """Share of the texts that are the same as an earlier one, or nearly, 0 to 1."""
    if not texts:
        return 0.0
    groups = near_duplicate_groups([skeleton(text) for text in texts])
    return 1 - len(set(groups)) / len(groups)


def words(text: str) -> int:
    return len(text.split())


def percentiles(values: Sequence[int], shares: Sequence[float]) -> list[int]:
    """The smallest value that at least so many percent do not exceed, for each share."""
    ordered = sorted(values)
    return [ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 100) - 1))] for share in shares]


def traits(rows: Sequence[Row]) -> dict[str, float]:
    """Shares of the rows, 0 to 1, with marks of how people really type; those of the rows' language."""
    from training.slices import is_traditional

    language = rows[0].language
    texts = [row.text for row in rows]
    found: dict[str, Sequence[bool]] = {
        "with an emoji": [bool(_EMOJI.search(text)) for text in texts],
        "with an exclamation mark": [bool(re.search("[!！]", text)) for text in texts],
        "with a question mark": [bool(re.search("[?？؟]", text)) for text in texts],
        "without any punctuation": [not any(unicodedata.category(sign).startswith("P") for sign in text) for text in texts],
        "with a letter three times running, or stretched": [bool(_STRETCHED.search(text)) for text in texts],
        "of several lines": ["\n" in text for text in texts],
    }
    if language == "zh":
        found["in Traditional characters"] = [is_traditional(text) for text in texts]
        found["with Latin letters"] = [bool(re.search("[A-Za-z]", text)) for text in texts]
        found["with signs of written Cantonese"] = [bool(re.search("[嘅咗唔冇喺啲嚟佢哋乜噉咁畀嗰]", text)) for text in texts]
    elif language == "fa":
        found.update({name: [bool(sign.search(text)) for text in texts] for name, sign in _FEATURES_OF_PERSIAN.items()})
    else:
        found["in lower case only"] = [text == text.lower() for text in texts]
        found["with a word in capitals"] = [bool(re.search(r"\b[A-Z]{4,}\b", text)) for text in texts]
    return {name: sum(flags) / len(rows) for name, flags in found.items()}


@dataclass(frozen=True)
class Shortcut:
    """How well a label can be guessed without reading."""

    macro_f1: float
    majority_macro_f1: float
    """Of the answer that is always the commonest label."""


def shortcut(rows: Sequence[Row], task: str, *, channel: bool = True) -> Shortcut:
    """Guess a single task's label from a text's length and punctuation alone, and from its channel if wanted.

    A logistic regression that weighs labels equally, five folds; every figure is of rows that it did not see.
    """
    import numpy as np
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    truth = [row.labels[task][0] for row in rows]
    model = make_pipeline(
        DictVectorizer(), MaxAbsScaler(), LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000, tol=1e-6)
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    guesses = cross_val_predict(model, [_outside(row, channel) for row in rows], np.array(truth), cv=folds)
    commonest = [Counter(truth).most_common(1)[0][0]] * len(truth)
    return Shortcut(f1_score(truth, guesses, average="macro"), f1_score(truth, commonest, average="macro", zero_division=0))


def _outside(row: Row, channel: bool) -> dict[str, float]:
    """What can be told of a message without reading it."""
    signs = Counter(sign for sign in unicodedata.normalize("NFKC", row.text) if unicodedata.category(sign).startswith("P"))
    return {
        "characters": log1p(len(row.text)),
        "words": log1p(words(row.text)),
        "lines": log1p(row.text.count("\n")),
        "punctuation": log1p(signs.total()),
        "punctuation per character": signs.total() / len(row.text),
        "ends with punctuation": float(unicodedata.category(row.text.rstrip()[-1]).startswith("P")),
        f"language {row.language}": 1.0,
        **{f"sign {sign}": log1p(count) for sign, count in signs.items()},
        **({f"channel {row.extra['channel']}": 1.0} if channel else {}),
    }
