"""All figures of a model to look at: a table for the terminal, one self-contained page with pictures."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.errors import DataError
from training.behaviour_table import ABOUT, behaviour_text, languages_of, table_lines
from training.evaluation import ALL

PICTURE_DPI = 80
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}td.lost{background:#fde8e8}
.note{background:#fff6d6;padding:.6rem 1rem;border-left:4px solid #d9a400}
figure{display:inline-block;margin:.5rem 1rem .5rem 0}figcaption{font-size:.9rem;color:#444}img{max-width:100%}
"""


def demonstration_note(metrics: Mapping[str, Any]) -> str:
    """What must stand beside every figure of a model that was made only to show the path; empty for any other."""
    if not metrics.get("demonstration"):
        return ""
    rows = metrics.get("training", {}).get("rows", {}).get("train")
    trained = f" (trained on {rows:,} rows)" if rows else ""
    return f"demonstration only{trained}: these figures show that the path works, not how good a model can be"


def summary(metrics: Mapping[str, Any]) -> str:
    """Tables of task × language and of behaviour for the terminal."""
    parts = [_test_text(metrics["test"]) if metrics.get("test") else "no test rows: nothing was evaluated"]
    if metrics.get("behaviour"):
        parts += ["", behaviour_text(metrics["behaviour"])]
    if note := demonstration_note(metrics):
        parts.append(note)
    return "\n".join(parts)


def _test_text(test: Mapping[str, Any]) -> str:
    lines = [
        f"{'task':<14}{'language':<10}{'rows':>7}{'macro-F1':>10}{'interval':>16}{'baseline':>10}{'cal. error':>12}{'unsure':>8}"
    ]
    lost = 0
    for task, language, cell in cells(test["tasks"]):
        low, high = cell["macro_f1_interval"]
        baseline = cell.get("baseline")
        worse = baseline is not None and cell["macro_f1"] < baseline["macro_f1"]
        lost += worse
        beside = f"{100 * baseline['macro_f1']:.1f}" if baseline else "-"
        lines.append(
            f"{task:<14}{language:<10}{cell['rows']:>7,}{100 * cell['macro_f1']:>10.1f}{f'{100 * low:.1f}-{100 * high:.1f}':>16}"
            f"{beside:>10}{100 * cell['calibration_error']:>11.1f}%{100 * cell['abstained']:>7.0f}%"
            + ("  below the baseline" if worse else "")
        )
    lines.append("")
    mean = f"mean over task and language {100 * test['mean_macro_f1']:.1f}"
    if "baseline_mean_macro_f1" in test:
        mean += f", baseline {100 * test['baseline_mean_macro_f1']:.1f}; below the baseline in {lost} lines"
    lines.append(mean)
    if test["refused"]:
        lines.append(f"{test['refused']} of {test['rows']} rows were refused (empty or too long) and are not in the figures")
    return "\n".join(lines)


def cells(tasks: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(task, language, figures), languages before the sum over all."""
    for task, by_language in tasks.items():
        for language in sorted(by_language, key=lambda name: (name == ALL, name)):
            yield task, language, by_language[language]


def write_report(path: Path, manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    """Write one self-contained page: figures beside the baseline, labels, slices, confusion matrices, reliability diagrams.

    DataError if it cannot be written there.
    """
    try:
        path.write_text(_page(manifest, metrics), "utf-8")
    except OSError as error:
        raise DataError(f"{path}: the page cannot be written: {error.strerror}. Name a file in a folder that exists.") from error


def _page(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    version = manifest.get("model_version", "")
    parts = [f"<h1>Model {html.escape(str(version))}</h1>" if version else "<h1>Model</h1>"]
    if note := demonstration_note(metrics):
        parts.append(f'<p class="note">{html.escape(note)}.</p>')
    parts.append(_facts(manifest, metrics))
    test = metrics.get("test")
    if not test:
        parts.append("<p>No test rows: nothing was evaluated.</p>")
    else:
        parts.append(f"<h2>Task × language</h2><p>{test['rows']:,} test rows; macro-F1 with its 95 % bootstrap interval, beside a")
        parts.append("linear model on character n-grams trained on the same rows. Marked: below that baseline.</p>")
        parts.append(_cells_table(list(cells(test["tasks"])), "task", "language"))
        parts.append("<h2>Slices</h2>")
        slices = [(name, task, cell) for name, by_task in sorted(test["slices"].items()) for task, cell in by_task.items()]
        parts.append(_cells_table(slices, "slice", "task") if slices else "<p>None has enough rows.</p>")
        parts.append("<h2>Labels</h2>")
        parts += [_labels_table(task, by_language[ALL]) for task, by_language in test["tasks"].items() if ALL in by_language]
        parts.append("<h2>Pictures</h2>")
        orders = manifest.get("label_order", {})
        for task, language, cell in cells(test["tasks"]):
            if "confusion" in cell:
                parts.append(
                    _figure(_confusion(cell["confusion"], orders.get(task, [])), f"{task}, {language}: true (rows) and answered")
                )
            parts.append(_figure(_reliability(cell["reliability"]), f"{task}, {language}: probability and what came true"))
    if behaviour := metrics.get("behaviour"):
        parts.append(f"<h2>Behaviour</h2><p>{html.escape(ABOUT)}</p>{_behaviour_table(behaviour)}")
    body = "\n".join(parts)
    head = f'<meta charset="utf-8"><title>Model {version}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en">{head}\n{body}\n</html>\n'


def _facts(manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    training = metrics.get("training") or manifest.get("training") or {}
    rows = training.get("rows", {})
    facts = {
        "Base": manifest.get("base", {}).get("name"),
        "Parameters": f"{training['parameters']:,}" if "parameters" in training else None,
        "Rows": ", ".join(f"{count:,} {name}" for name, count in rows.items()) or None,
        "Steps": training.get("history", {}).get("steps"),
        "Agreement of the exported graph with torch": ", ".join(
            f"{task} {100 * share:.1f} %" for task, share in training.get("agreement", {}).items()
        )
        or None,
    }
    lines = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None
    )
    return f"<table>{lines}</table>"


def _cells_table(entries: Sequence[tuple[str, str, Mapping[str, Any]]], first: str, second: str) -> str:
    heads = [
        first,
        second,
        "rows",
        "macro-F1",
        "interval",
        "baseline",
        "accuracy",
        "calibration error",
        "interval",
        "unsure",
        "accuracy where sure",
    ]
    lines = []
    for one, two, cell in entries:
        baseline = cell.get("baseline")
        worse = ' class="lost"' if baseline and cell["macro_f1"] < baseline["macro_f1"] else ""
        values = [
            f"{cell['rows']:,}",
            _percent(cell["macro_f1"]),
            _range(cell["macro_f1_interval"]),
            _percent(baseline["macro_f1"]) if baseline else "",
            _percent(cell["accuracy"]),
            _percent(cell["calibration_error"]),
            _range(cell["calibration_error_interval"]),
            _percent(cell["abstained"]),
            _percent(cell["accuracy_where_sure"]) if cell["accuracy_where_sure"] is not None else "",
        ]
        columns = "".join(f"<td{worse if number == 1 else ''}>{value}</td>" for number, value in enumerate(values))
        lines.append(f"<tr><td>{html.escape(one)}</td><td>{html.escape(two)}</td>{columns}</tr>")
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(lines)}</table>"


def _behaviour_table(behaviour: Mapping[str, Any]) -> str:
    heads = "".join(f"<th>{head}</th>" for head in ("", *languages_of(behaviour)))
    lines = "".join(
        f"<tr><td>{'&emsp;' * what.startswith(' ')}{html.escape(what.strip())}</td>"
        + "".join(f"<td>{cell}</td>" for cell in row)
        + "</tr>"
        for what, row in table_lines(behaviour)
    )
    return f"<table><tr>{heads}</tr>{lines}</table>"


def _labels_table(task: str, cell: Mapping[str, Any]) -> str:
    baseline = cell.get("baseline", {}).get("labels", {})
    lines = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{figures['rows']:,}</td><td>{_percent(figures['f1'])}</td><td>{_percent(figures['precision'])}</td>"
        f"<td>{_percent(figures['recall'])}</td><td>{_percent(baseline[name]) if name in baseline else ''}</td></tr>"
        for name, figures in cell["labels"].items()
    )
    return (
        f"<h3>{html.escape(task)}</h3><table><tr><th>label</th><th>rows</th><th>F1</th><th>precision</th><th>recall</th>"
        f"<th>baseline F1</th></tr>{lines}</table>"
    )


def _figure(picture: bytes, caption: str) -> str:
    encoded = base64.b64encode(picture).decode("ascii")
    words = html.escape(caption)
    return f'<figure><img alt="{words}" src="data:image/png;base64,{encoded}"><figcaption>{words}</figcaption></figure>'


def _confusion(counts: Sequence[Sequence[int]], names: Sequence[str]) -> bytes:
    import numpy as np

    table = np.array(counts, dtype=float)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    figure, axes = _new_figure(0.55 * len(table) + 2)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(table)):
        for column in range(len(table)):
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, f"{int(table[row, column])}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(table)), names or range(len(table)), rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(table)), names or range(len(table)), fontsize=8)
    axes.set_xlabel("answered", fontsize=8)
    axes.set_ylabel("true", fontsize=8)
    return _png(figure)


def _reliability(bins: Sequence[Mapping[str, float]]) -> bytes:
    figure, axes = _new_figure(3.2)
    axes.plot([0, 1], [0, 1], color="#999", linewidth=1)
    axes.plot([part["probability"] for part in bins], [part["came_true"] for part in bins], marker="o", markersize=4)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("probability", fontsize=8)
    axes.set_ylabel("share that came true", fontsize=8)
    axes.tick_params(labelsize=8)
    return _png(figure)


def _new_figure(inches: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(inches, inches), layout="constrained")
    return figure, figure.subplots()


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=PICTURE_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _range(pair: Sequence[float]) -> str:
    return f"{100 * pair[0]:.1f} to {100 * pair[1]:.1f}"
