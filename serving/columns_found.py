"""Which columns an archive has, with Parquet's types: widened row by row where a format names none, and file by file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from data.errors import DataError
from data.tables import Table

if TYPE_CHECKING:
    import pyarrow

MAX_COLUMNS = 10_000
TYPED_ROWS = 4096
"""Rows of JSON Lines at a time whose types are found for Parquet."""


@dataclass
class ColumnsFound:
    """The columns that JSON Lines has, and Parquet's types for those of every file."""

    typed: bool
    names: dict[str, None] = field(default_factory=dict)
    mixed: set[str] = field(default_factory=set)
    _kinds: dict[str, Any] = field(default_factory=dict)
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _metadata: dict[bytes, bytes] | None = None

    def add(self, values: dict[str, Any], table: Table) -> None:
        if not values.keys() <= self.names.keys():
            self.names.update(dict.fromkeys(values))
            if len(self.names) > MAX_COLUMNS:
                raise DataError(f"{table.path}: its objects have over {MAX_COLUMNS:,} different keys. Are keys used as values?")
        if self.typed:
            self._rows.append(values)
            if len(self._rows) == TYPED_ROWS:
                self._find_types()

    def close(self, table: Table) -> None:
        """The end of a file."""
        if not self.typed:
            return
        import pyarrow

        self._find_types()
        if table.schema is not None:
            self._metadata = self._metadata or table.schema.metadata
            for kind in table.schema:
                self._join(kind, f"{table.path}: ")
        elif table.format == "csv":
            for name in table.columns:
                self._join(pyarrow.field(name, pyarrow.string()), f"{table.path}: ")

    def schema(self, columns: Sequence[str]) -> pyarrow.Schema | None:
        if not self.typed:
            return None
        import pyarrow

        text = pyarrow.string()
        fields = [pyarrow.field(name, text) if name in self.mixed else self._kinds.get(name) for name in columns]
        named = [found if found is not None else pyarrow.field(name, text) for name, found in zip(columns, fields, strict=True)]
        return pyarrow.schema(named, self._metadata)

    def _find_types(self) -> None:
        import pyarrow

        for name in dict.fromkeys(name for values in self._rows for name in values):
            try:
                kind = pyarrow.array([values.get(name) for values in self._rows]).type
                if pyarrow.types.is_null(kind):
                    continue
                self._join(pyarrow.field(name, kind), None)
            except (pyarrow.ArrowException, OverflowError, ValueError, TypeError):
                self.mixed.add(name)
        self._rows.clear()

    def _join(self, found: pyarrow.Field, where: str | None) -> None:
        """Widen a column's type by another file's, or (where is None) by other rows of JSON."""
        import pyarrow

        before = self._kinds.get(found.name)
        if before is None or before.type == found.type:
            self._kinds[found.name] = before or found
            return
        try:
            joined = pyarrow.unify_schemas([pyarrow.schema([before]), pyarrow.schema([found])], promote_options="permissive")
            self._kinds[found.name] = joined.field(0)
        except pyarrow.ArrowException as error:
            if where is None:
                raise
            raise DataError(
                f"{where}column '{found.name}' is {found.type}, in a file before it {before.type}. Label them apart, or write CSV."
            ) from error
