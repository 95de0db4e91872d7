"""Charts as inline SVG: no script, no picture file, the colours of the page, and a table with the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

COLOURS = 8
"""The page has classes s0 to s7; more series repeat them."""
WIDTH = 880
LABEL_WIDTH = 190
BAR, GAP = 20, 8
PLOT_HEIGHT = 190
TOP = 10
"""Room above a plot for half a line of text."""
MAX_TICKS = 8


@dataclass(frozen=True)
class Chart:
    svg: Markup
    title: str
    head: tuple[str, ...]
    """Of the table with the same figures."""
    body: tuple[tuple[str, ...], ...]
    legend: tuple[tuple[int, str], ...] = ()
    """Colour and name of each series."""


def share_bars(
    title: str, names: Sequence[str], parts: Sequence[str], values: Sequence[Sequence[int]], unit: str = "messages"
) -> Chart:
    """For each name a bar of 100 %, split into parts. values: (names, parts), counts."""
    height = len(names) * (BAR + GAP) + GAP
    drawn = []
    for row, (name, counts) in enumerate(zip(names, values, strict=True)):
        y, x, whole = GAP + row * (BAR + GAP), float(LABEL_WIDTH), sum(counts)
        drawn.append(_label(name, y))
        for part, number in enumerate(counts):
            width = (WIDTH - LABEL_WIDTH) * number / whole if whole else 0.0
            if width:
                said = f"{name}: {parts[part]} {percent(number, whole)} ({number:,})"
                drawn.append(_rect(x, y, width, BAR, part, said))
                if width > 44:
                    drawn.append(
                        Markup('<text class="in" x="{}" y="{}">{}</text>').format(_n(x + 5), y + 14, percent(number, whole))
                    )
            x += width
    body = tuple(
        (name, *(f"{number:,} ({percent(number, sum(counts))})" for number in counts), f"{sum(counts):,}")
        for name, counts in zip(names, values, strict=True)
    )
    return Chart(_svg(title, height, drawn), title, ("", *parts, unit), body, tuple(enumerate(parts)))


def group_bars(
    title: str, names: Sequence[str], groups: Sequence[str], values: Sequence[Sequence[int]], wholes: Sequence[int]
) -> Chart:
    """For each name one thin bar a group: its share of the group. values: (names, groups), counts; wholes: by group."""
    thin = max(10, min(BAR, 34 // max(1, len(groups))))
    each = thin * len(groups) + GAP + 2
    most = max((number / whole for row in values for number, whole in zip(row, wholes, strict=True) if whole), default=0.0) or 1.0
    drawn = []
    for row, (name, counts) in enumerate(zip(names, values, strict=True)):
        y = GAP + row * each
        drawn.append(_label(name, y + (each - GAP - BAR) // 2))
        for group, (number, whole) in enumerate(zip(counts, wholes, strict=True)):
            share = number / whole if whole else 0.0
            width = (WIDTH - LABEL_WIDTH - 60) * share / most
            place = y + group * thin
            drawn.append(
                _rect(
                    LABEL_WIDTH,
                    place,
                    max(width, 0.5),
                    thin - 1,
                    group,
                    f"{name}, {groups[group]}: {percent(number, whole)} ({number:,})",
                )
            )
            if thin >= 10:
                drawn.append(
                    Markup('<text class="out" x="{}" y="{}">{}</text>').format(
                        _n(LABEL_WIDTH + width + 5), place + thin - 2, percent(number, whole)
                    )
                )
    body = tuple(
        (name, *(f"{number:,} ({percent(number, whole)})" for number, whole in zip(counts, wholes, strict=True)))
        for name, counts in zip(names, values, strict=True)
    )
    return Chart(_svg(title, len(names) * each + GAP, drawn), title, ("", *groups), body, tuple(enumerate(groups)))


def columns_over_time(
    title: str, steps: Sequence[str], series: Sequence[str], values: Sequence[Sequence[int]], *, shares: bool
) -> Chart:
    """Stacked columns, a step each. values: (steps, series), counts. shares: every column is 100 % of its step."""
    left, bottom = 46, 24
    plot = WIDTH - left
    most = 1.0 if shares else float(max((sum(row) for row in values), default=0) or 1)
    wide = plot / max(1, len(steps))
    drawn = []
    for line in range(5):
        height = TOP + PLOT_HEIGHT * (1 - line / 4)
        said = f"{25 * line}%" if shares else _short(most * line / 4)
        drawn.append(_grid(left, height, said))
    every = max(1, -(-len(steps) // MAX_TICKS))
    for place, (step, counts) in enumerate(zip(steps, values, strict=True)):
        whole, y = sum(counts), float(TOP + PLOT_HEIGHT)
        x = left + place * wide
        for number_of, number in enumerate(counts):
            high = PLOT_HEIGHT * (number / whole if shares and whole else number / most)
            if high:
                y -= high
                said = f"{step}: {series[number_of]} {number:,}" + (f" ({percent(number, whole)})" if whole else "")
                drawn.append(_rect(x + 0.5, y, max(wide - 1, 0.6), high, number_of, said))
        if place % every == 0:
            drawn.append(
                Markup('<text class="tick" x="{}" y="{}">{}</text>').format(
                    _n(x + min(wide / 2, 30)), TOP + PLOT_HEIGHT + bottom - 8, step
                )
            )
    body = tuple((step, *(f"{number:,}" for number in counts)) for step, counts in zip(steps, values, strict=True))
    legend = tuple(enumerate(series)) if len(series) > 1 else ()
    return Chart(_svg(title, TOP + PLOT_HEIGHT + bottom, drawn), title, ("", *series), body, legend)


def percent(number: float, whole: float) -> str:
    """A share in words that fit a cell: whole per cent, but never 0 % of something."""
    if not whole:
        return "–"
    share = 100 * number / whole
    return "<1%" if 0 < share < 0.5 else f"{share:.0f}%"


def _svg(title: str, height: float, drawn: Sequence[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="xMinYMin meet">{}</svg>').format(
        WIDTH, _n(height), f"{title}. The figures stand in the table below it.", Markup("").join(drawn)
    )


def _rect(x: float, y: float, width: float, height: float, colour: int, said: str) -> Markup:
    return Markup('<rect class="s{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
        colour % COLOURS, _n(x), _n(y), _n(width), _n(height), said
    )


def _grid(left: float, y: float, said: str) -> Markup:
    return Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="axis" x="{}" y="{}">{}</text>').format(
        _n(left), WIDTH, _n(y), _n(y), _n(left - 6), _n(y + 4), said
    )


def _label(name: str, y: float) -> Markup:
    shown = name if len(name) <= 26 else name[:25] + "…"
    return Markup('<text class="name" x="{}" y="{}">{}<title>{}</title></text>').format(LABEL_WIDTH - 10, _n(y + 14), shown, name)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _short(value: float) -> str:
    return f"{value / 1000:.3g}k" if value >= 10_000 else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
