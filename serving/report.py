"""One page to look at a labelled file: self-contained, opens offline, everything that came from the file escaped.

    summary = report("labelled.parquet", "report.html", against="labelled_before.parquet", review=200)

The file is read once, in memory that does not grow with its rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.review import write_sheet
from data.tables import format_of
from data.taxonomy import Taxonomy
from serving.labelled_file import LabelledFile, LabelledRow
from serving.report_changes import ChangesTally
from serving.report_figures import Figures, Kept
from serving.report_sections import Page, build_page

TEMPLATE = "report_page.html"
RIGHT_TO_LEFT = frozenset({"fa", "ar", "he", "ur", "ckb", "ps", "sd", "ug", "yi", "dv"})


@dataclass(frozen=True)
class ReportSummary:
    output: Path
    rows: int
    columns: dict[str, str | None]
    """What was taken for the messages, dates and ratings; None where nothing was."""
    unread: dict[str, int]
    """Filled cells of dates and ratings that could not be read."""
    paired: int | None
    """Rows that the other file has too; None if there is none."""
    sheet: Path | None
    sheet_rows: int

    def to_text(self) -> str:
        """A few lines for people."""
        found = [f"{what} '{name}'" for what, name in self.columns.items() if name is not None]
        absent = [what for what, name in self.columns.items() if name is None]
        lines = [f"report    {self.output}  ({self.rows:,} rows)", f"columns   {', '.join(found)}"]
        if absent:
            options = ", ".join(f"--{what}-column" for what in absent)
            lines[-1] += f"; no column found for {' and '.join(absent)} (name one with {options})"
        for what, number in self.unread.items():
            lines.append(
                f"unread    {number:,} cells of '{self.columns[what]}'" + (" (--date-format says how)" if what == "date" else "")
            )
        if self.paired is not None:
            lines.append(f"against   {self.paired:,} rows are in both files")
        if self.sheet is not None:
            then = f"then: feedback data import review --from {self.sheet} -o rows.jsonl"
            lines.append(f"review    {self.sheet}  ({self.sheet_rows:,} rows; {then})")
        return "\n".join(lines)


def report(
    input: str | Path,
    output: str | Path,
    *,
    against: str | Path | None = None,
    review: int = 0,
    review_sheet: str | Path | None = None,
    taxonomy: Taxonomy | None = None,
    title: str | None = None,
    overwrite: bool = False,
    **columns: str | None,
) -> ReportSummary:
    """Write the page, and the sheet if one is asked for.

    against: another labelled file of the same messages. review: rows of the sheet to correct, the least sure first.
    review_sheet: its file, CSV beside the page if None. taxonomy: the order of labels that it knows.
    columns: `prefix`, `text_column`, `id_column`, `date_column`, `rating_column`, `date_format`, `encoding`; found if not named.
    Raises DataError before anything is written; then neither file appears.
    """
    file = LabelledFile.open(input, **columns)
    output = Path(output)
    sheet = (Path(review_sheet) if review_sheet else output.with_suffix(".review.csv")) if review else None
    _refuse(file, [Path(against)] if against else [], [path for path in (output, sheet) if path is not None], overwrite)
    if sheet is not None:
        format_of(sheet)
    figures, uncertain = Figures(file.single, file.multi), Kept(review)
    rows: Iterable[LabelledRow] = file.rows()
    tally = None
    if against is not None:
        named = {name: columns.get(name) for name in ("prefix", "text_column", "id_column", "encoding")}
        tally = ChangesTally(file, LabelledFile.open(against, **named))
        rows = tally.follow(rows)
    for row in rows:
        figures.add(row)
        if review:
            lowest = min((answer.surest for answer in row.answers.values()), default=0.0)
            uncertain.offer((1.0 if row.abstained else 0.0) - lowest, row, lowest)
    page = build_page(file, figures, tally.changes if tally else None, taxonomy, title or file.path.name)
    written = 0
    if sheet is not None:
        written = write_sheet(sheet, _to_correct(file, uncertain), file.tasks)
    _write(output, render(page))
    return ReportSummary(
        output=output,
        rows=figures.rows,
        columns={"text": file.text_column, "date": file.date_column, "rating": file.rating_column},
        unread=dict(figures.unread),
        paired=tally.changes.paired if tally else None,
        sheet=sheet,
        sheet_rows=written,
    )


def render(page: Page) -> str:
    """The page as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("serving", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.globals["direction"] = lambda language: "rtl" if language.split("-")[0] in RIGHT_TO_LEFT else "auto"
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return environment.get_template(TEMPLATE).render(page=page, made=made)


def _refuse(file: LabelledFile, inputs: Sequence[Path], outputs: Sequence[Path], overwrite: bool) -> None:
    for path in outputs:
        for other in (file.path, *(table.path for table in file.tables), *inputs):
            if path.resolve() == other.resolve():
                raise DataError(f"{path}: would write over the input {other}. Name another output.")
        if path.exists() and not overwrite:
            raise DataError(f"{path}: exists already. Name another output, or write over it with --overwrite.")
        if not path.parent.is_dir():
            raise DataError(f"{path}: there is no folder {path.parent}. Make it, or name another output.")


def _to_correct(file: LabelledFile, uncertain: Kept) -> Iterable[dict[str, Any]]:
    for row in uncertain.rows():
        labels = {task: answer.labels if task in file.multi else "".join(answer.labels) for task, answer in row.answers.items()}
        yield {"id": row.id, "text": row.text, "language": row.language, **labels, "unsure": list(row.abstained)}


def _write(path: Path, page: str) -> None:
    aside = path.with_name(path.name + ".part")
    try:
        aside.write_text(page, "utf-8")
        os.replace(aside, path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        raise DataError(f"{path}: cannot be written: {error.strerror or error}.") from error
