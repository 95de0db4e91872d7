"""The distributions of the corpus as pictures (PNG) for its card."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from training.corpus_figures import LANGUAGES, Corpus, label_counts

DPI = 80
PICTURES = "pictures"
"""Folder beside the card."""
REAL_LABELS = "labels-real.png"
COLOURS = ("#c0504d", "#4f81bd", "#76923c")
"""By language, in the order of LANGUAGES."""
LENGTH_BOUNDS = (0, 5, 10, 20, 30, 40, 60, 80, 120, 160, 240, 400, 800, 1600)
"""Characters; each bar holds the texts longer than one bound and not longer than the next."""
SHOWN = "Shows"
"""Key of the picture's text that holds the digest of what it shows: picture files differ from one matplotlib to the next."""


@dataclass(frozen=True)
class Picture:
    name: str
    """File name."""
    title: str
    png: bytes
    digest: str
    """Of the figures shown."""


def pictures(corpus: Corpus) -> Iterator[Picture]:
    """Draw every picture for which there is something to show."""
    written = {code: [row.labels for row in corpus.rows[code]] for code in LANGUAGES}
    yield _labels("labels.png", "Labels of the written part", corpus, written)
    real = {code: [entry.labels for entry in corpus.annotations(code)] for code in LANGUAGES}
    if any(real.values()):
        yield _labels(REAL_LABELS, "Labels of the real part", corpus, real)
    yield _coverage(corpus)
    yield _lengths(corpus)
    for name in ("channel", "domain"):
        counts = {code: {str(row.extra[name]): 0 for row in corpus.all_rows} for code in LANGUAGES}
        for row in corpus.all_rows:
            counts[str(row.language)][str(row.extra[name])] += 1
        order = sorted(counts[LANGUAGES[0]], key=lambda value: (-sum(counts[code][value] for code in LANGUAGES), value))
        shares = {code: [counts[code][value] / max(1, len(corpus.rows[code])) for value in order] for code in LANGUAGES}
        yield _bars(f"{name}s.png", f"Written part by {name}", {name: (order, shares)})


def _labels(name: str, title: str, corpus: Corpus, labels: Mapping[str, Sequence[Mapping[str, Sequence[str]]]]) -> Picture:
    panels = {}
    for task in corpus.taxonomy:
        counts = {code: label_counts(given, task.name) for code, given in labels.items()}
        shares = {code: [counts[code][label] / max(1, len(labels[code])) for label in task.names] for code in LANGUAGES}
        panels[task.name] = (list(task.names), shares)
    return _bars(name, title, panels)


def _bars(name: str, title: str, panels: Mapping[str, tuple[Sequence[str], Mapping[str, Sequence[float]]]]) -> Picture:
    """Panels one under the other; in each a group of bars a value: the share of a language's rows, in percent."""
    figure = _figure(6.4, 0.7 + sum(0.26 * len(order) + 0.45 for order, _ in panels.values()))
    heights = [len(order) + 1 for order, _ in panels.values()]
    axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axis, (panel, (order, shares)) in zip(axes, panels.items(), strict=True):
        for offset, (code, colour) in enumerate(zip(LANGUAGES, COLOURS, strict=True)):
            places = [place + 0.27 * (offset - 1) for place in range(len(order))]
            axis.barh(places, [100 * share for share in shares[code]], height=0.25, color=colour, label=code)
        axis.set_yticks(range(len(order)), order, fontsize=8)
        axis.invert_yaxis()
        axis.tick_params(axis="x", labelsize=8)
        axis.set_title(panel, fontsize=9, loc="left")
    axes[0].legend(fontsize=8, frameon=False)
    axes[-1].set_xlabel("% of the language's rows", fontsize=8)
    return _picture(name, title, figure, {panel: [list(order), dict(shares)] for panel, (order, shares) in panels.items()})


def _coverage(corpus: Corpus) -> Picture:
    """How often the labels of the first two single tasks meet."""
    across, down = [task for task in corpus.taxonomy if task.single][:2]
    counts = [
        [
            sum(row.labels[down.name] == (one,) and row.labels[across.name] == (other,) for row in corpus.all_rows)
            for other in across.names
        ]
        for one in down.names
    ]
    figure = _figure(1.6 + 0.9 * len(across.names), 0.9 + 0.42 * len(down.names))
    axis = figure.subplots()
    axis.imshow([[count**0.5 for count in line] for line in counts], cmap="Blues", aspect="auto")
    highest = max(max(line) for line in counts)
    for y, line in enumerate(counts):
        for x, count in enumerate(line):
            axis.text(x, y, f"{count:,}", ha="center", va="center", fontsize=8, color="white" if count > 0.4 * highest else "black")
    axis.set_xticks(range(len(across.names)), across.names, fontsize=8)
    axis.set_yticks(range(len(down.names)), down.names, fontsize=8)
    title = f"{down.name} by {across.name}, rows of the written part"
    return _picture("coverage.png", f"{title[0].upper()}{title[1:]}", figure, {"counts": counts})


def _lengths(corpus: Corpus) -> Picture:
    pairs = list(pairwise(LENGTH_BOUNDS))
    shares = {
        code: [sum(low < len(row.text) <= high for row in rows) / max(1, len(rows)) for low, high in pairs]
        for code, rows in corpus.rows.items()
    }
    names = [f"{low + 1} to {high}" for low, high in pairs]
    return _bars("lengths.png", "Written part by length", {"characters": (names, shares)})


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _picture(name: str, title: str, figure: Any, shown: Mapping[str, Any]) -> Picture:
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None, SHOWN: digest})
    return Picture(name, title, buffer.getvalue(), digest)
