"""From figures to the sections of the page: which charts, in which order, and the words beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from data.taxonomy import Taxonomy
from serving.labelled_file import LabelledFile
from serving.report_changes import MOST_KINDS, Changes
from serving.report_charts import Chart, columns_over_time, group_bars, percent, share_bars
from serving.report_figures import Example, Figures, Period, TaskFigures, period_of, periods
from serving.report_ratings import Ratings, ratings_of

MOST_LANGUAGES = 5
LEAST_LANGUAGE = 0.01
"""Share of the messages under which a language is one of the others."""
OTHERS = "others"
NOTHING = "(none)"


@dataclass(frozen=True)
class Tile:
    value: str
    name: str


@dataclass(frozen=True)
class ExampleGroup:
    title: str
    examples: list[Example]


@dataclass(frozen=True)
class Section:
    """One heading with what stands under it."""

    anchor: str
    title: str
    notes: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    groups: tuple[ExampleGroup, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Table:
    title: str
    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Page:
    title: str
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    sources: tuple[tuple[str, str], ...] = field(default=())
    """What the page was made from: name and value."""


def build_page(file: LabelledFile, figures: Figures, changes: Changes | None, taxonomy: Taxonomy | None, title: str) -> Page:
    step, steps = periods(figures.days)
    languages = _languages(figures)
    sections = [_volumes(figures, languages, step, steps)]
    for task in file.tasks:
        tally = figures.tasks[task]
        labels = order_of(task, tally.names(), taxonomy)
        sections.append(_task(task, task in file.single, tally, labels, languages, step, steps))
    if figures.departments or figures.priorities:
        sections.append(_departments(figures, languages))
    if figures.ratings:
        ratings = ratings_of(figures, file, {task: order_of(task, figures.tasks[task].names(), taxonomy) for task in file.single})
        sections.append(_ratings(ratings))
    if changes is not None:
        sections.append(_changes(changes, taxonomy))
    sections.append(_examples(figures, taxonomy))
    sections.append(_for_a_person(figures))
    return Page(title, _tiles(file, figures), tuple(sections), _sources(file))


def order_of(task: str, found: Sequence[str], taxonomy: Taxonomy | None) -> list[str]:
    """Labels in the taxonomy's order if it knows them all; else by frequency."""
    if taxonomy is not None and task in taxonomy.task_names and set(found) <= set(taxonomy[task].names):
        return [label for label in taxonomy[task].names if label in found]
    return list(found)


def _tiles(file: LabelledFile, figures: Figures) -> tuple[Tile, ...]:
    tiles = [Tile(f"{figures.rows:,}", "messages"), Tile(str(len(figures.languages)), "languages")]
    if figures.days:
        tiles.append(Tile(f"{min(figures.days)} – {max(figures.days)}", "first and last day"))
    tiles.append(Tile(percent(figures.abstained, figures.rows), "have an unsure answer"))
    rows = file.manifest.get("rows")
    rejected = sum(rows["rejected"].values()) if isinstance(rows, dict) and isinstance(rows.get("rejected"), dict) else None
    if rejected is not None:
        tiles.append(Tile(f"{rejected:,}", "rejected, not in this file"))
    return tuple(tiles)


def _sources(file: LabelledFile) -> tuple[tuple[str, str], ...]:
    found = [("file", file.path.name), ("messages in column", file.text_column)]
    found += [(f"{what} in column", name) for what, name in (("dates", file.date_column), ("ratings", file.rating_column)) if name]
    found += [(name, str(file.manifest[name])) for name in ("model", "finished") if isinstance(file.manifest.get(name), str)]
    return tuple(found)


def _languages(figures: Figures) -> list[str]:
    """The languages that are shown by name; with OTHERS at the end where there are more."""
    names = [code for code, _ in figures.languages.most_common()]
    shown = [code for code in names[:MOST_LANGUAGES] if figures.languages[code] >= LEAST_LANGUAGE * figures.rows]
    return names if len(names) <= len(shown) + 1 else [*shown, OTHERS]


def _of_language(counts: Counter[str], shown: Sequence[str]) -> list[int]:
    """Counts by language as shown."""
    named = [counts[code] for code in shown if code != OTHERS]
    return [*named, counts.total() - sum(named)] if OTHERS in shown else named


def _volumes(figures: Figures, languages: list[str], step: str, steps: list[Period]) -> Section:
    charts = [share_bars("Messages by language", ["all"], languages, [_of_language(figures.languages, languages)])]
    notes = []
    if steps:
        by_step: Counter[str] = Counter()
        for day, number in figures.days.items():
            by_step[period_of(day, step).isoformat()] += number
        values = [[by_step[each.start.isoformat()]] for each in steps]
        charts.append(columns_over_time(f"Messages a {step}", [each.name for each in steps], ["messages"], values, shares=False))
        if undated := figures.rows - sum(figures.days.values()):
            notes.append(f"{undated:,} messages have no date that can be read; charts over time leave them out.")
    return Section("volumes", "Volumes", tuple(notes), tuple(charts))


def _task(
    task: str, single: bool, tally: TaskFigures, labels: list[str], languages: list[str], step: str, steps: list[Period]
) -> Section:
    wholes = _of_language(tally.rows, languages)
    counted = [
        _of_language(Counter({code: n for (code, name), n in tally.labels.items() if name == label}), languages) for label in labels
    ]
    shown = task.replace("_", " ")
    unsure = sum(tally.abstained.values())
    notes = [
        f"The model is unsure of {unsure:,} of {sum(wholes):,} answers ({percent(unsure, sum(wholes))}); they are counted as given."
    ]
    names = [*languages, "all"] if len(languages) > 1 else list(languages)
    if single:
        by_language = [[counts[place] for counts in counted] for place in range(len(languages))]
        by_language += [[sum(counts) for counts in counted]] if len(languages) > 1 else []
        charts = [share_bars(f"{shown} by language", names, labels, by_language)]
    else:
        notes.append("A message may have several labels, so the shares add up to more than 100 %.")
        totals = [[*counts, *([sum(counts)] if len(languages) > 1 else [])] for counts in counted]
        charts = [
            group_bars(f"{shown} by language", labels, names, totals, [*wholes, *([sum(wholes)] if len(languages) > 1 else [])])
        ]
    if steps:
        by_step: Counter[tuple[str, str]] = Counter()
        for (day, label), number in tally.days.items():
            by_step[period_of(day, step).isoformat(), label] += number
        values = [[by_step[each.start.isoformat(), label] for label in labels] for each in steps]
        charts.append(columns_over_time(f"{shown} a {step}", [each.name for each in steps], labels, values, shares=single))
    return Section(f"task-{task}", shown[:1].upper() + shown[1:], tuple(notes), tuple(charts))


def _departments(figures: Figures, languages: list[str]) -> Section:
    wholes = _of_language(figures.languages, languages)
    charts = []
    for title, counts in (("Departments that should hear of a message", figures.departments), ("Priority", figures.priorities)):
        total: Counter[str] = Counter()
        for (_, name), number in counts.items():
            total[str(name)] += number
        names = sorted(total, key=int) if counts is figures.priorities else [name for name, _ in total.most_common()]
        if names:
            rows = [
                _of_language(Counter({code: n for (code, each), n in counts.items() if str(each) == name}), languages)
                for name in names
            ]
            charts.append(group_bars(title, names, languages, rows, wholes))
    return Section("departments", "Departments and priority", (), tuple(charts))


def _ratings(ratings: Ratings) -> Section:
    charts = tuple(
        share_bars(f"Rating by {task}", labels, ratings.names, values, "rated") for task, labels, values in ratings.by_task
    )
    groups = [ExampleGroup(f"Rated {low}, yet '{label}'", examples) for low, label, examples in ratings.contradicting]
    return Section(
        "ratings", f"Ratings ({ratings.column})", ratings.notes, charts, tuple(group for group in groups if group.examples)
    )


def _changes(changes: Changes, taxonomy: Taxonomy | None) -> Section:
    notes = [f"Compared with {changes.before}: {changes.paired:,} messages are in both files."]
    if changes.only_now or changes.only_before:
        notes.append(
            f"{changes.only_now:,} are only in this file, {changes.only_before:,} only in the other; they are left out here."
        )
    if changes.missing_tasks:
        notes.append(f"Only one of the files has {', '.join(changes.missing_tasks)}.")
    tables, groups = [], []
    for task, tally in changes.tasks.items():
        shown = task.replace("_", " ")
        before, now = changes.counts_before[task], changes.counts_now[task]
        labels = order_of(task, [name for name, _ in (before + now).most_common()], taxonomy)
        changed = f"{tally.changed:,} of {changes.paired:,} answers changed ({percent(tally.changed, changes.paired)})"
        body = [(label, f"{before[label]:,}", f"{now[label]:,}", f"{now[label] - before[label]:+,}") for label in labels]
        tables.append(Table(f"{shown}: {changed}", ("label", "before", "now", "difference"), tuple(body)))
        for move, number in tally.moved.most_common(MOST_KINDS):
            if move in tally.examples:
                was, became = (", ".join(labels) or NOTHING for labels in move)
                groups.append(ExampleGroup(f"{shown}: {was} → {became} ({number:,})", tally.examples[move].examples()))
    return Section("changes", "What changed", tuple(notes), (), tuple(groups), tuple(tables))


def _examples(figures: Figures, taxonomy: Taxonomy | None) -> Section:
    groups = []
    for task, tally in figures.tasks.items():
        for label in order_of(task, tally.names(), taxonomy):
            shown = f"{task.replace('_', ' ')}: {label}"
            groups.append(ExampleGroup(f"{shown} – surest", tally.surest[label].examples()))
            groups.append(ExampleGroup(f"{shown} – least sure", tally.least[label].examples()))
    notes = ("Of messages with the same text, one is shown. The number is the model's calibrated probability of the label.",)
    return Section("examples", "Surest and least sure of each label", notes, (), tuple(groups))


def _for_a_person(figures: Figures) -> Section:
    examples = figures.unsure()
    if not figures.abstained:
        return Section("unsure", "For a person to read", ("The model is sure enough of every answer in this file.",))
    note = f"The model abstains on {figures.abstained:,} messages; these are the {len(examples):,} it is least sure of."
    if len(examples) < figures.abstained:
        note += " A sheet with more of them, to correct: --review N."
    return Section("unsure", "For a person to read", (note,), (), (ExampleGroup("Least sure first", examples),))
