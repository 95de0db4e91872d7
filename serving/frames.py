"""Labelling of pandas frames, as Spark's mapInPandas hands them out (docs/archives.md).

labeller = FrameLabeller("serving/model", text_column="message")
labelled = messages.mapInPandas(labeller, labeller.schema(messages.schema.simpleString()))
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.classifier import FeedbackClassifier
from serving.columns import LabelledColumns, find_text_column, language_code
from serving.labelling import REMEMBERED
from serving.model_folder import ModelFolder
from serving.prediction import Prediction

if TYPE_CHECKING:
    import pandas

FRAME_BLOCK = 512
"""Rows of a frame that are labelled together."""
REJECT = "reject"
"""Column that says why a row has no labels (code and reason as JSON); null where it has."""


class FrameLabeller:
    """Adds the columns of a labelled file to frames. Every row stays, in its place; one that cannot be labelled has `reject`.

    Goes to other processes as its settings; each process loads the model once.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        text_column: str | None = None,
        language_column: str | None = None,
        prefix: str = "",
        scores: bool = False,
        threads: int = 1,
    ) -> None:
        self.model = str(Path(model).absolute())
        self._text_column, self._language_column = text_column, language_column
        self._prefix, self._scores, self._threads = prefix, scores, threads

    def __call__(self, frames: Iterable[pandas.DataFrame]) -> Iterator[pandas.DataFrame]:
        """One labelled frame for each. DataError for columns that are missing, or there already."""
        import pandas

        classifier = _load(self.model, self._threads)
        added = self._added(classifier.folder)
        for frame in frames:
            columns = [str(name) for name in frame.columns]
            text = find_text_column("the frame", columns, self._text_column)
            added.refuse_existing("the frame", columns)
            texts = ["" if value is None or value != value else value for value in frame[text]]  # a missing text is a NaN
            known = [None] * len(frame) if self._language_column is None else map(language_code, frame[self._language_column])
            rows: list[dict[str, Any]] = []
            codes = list(known)
            starts = range(0, len(texts), FRAME_BLOCK)
            parts = (classifier.predict_block(texts[at : at + FRAME_BLOCK], codes[at : at + FRAME_BLOCK]) for at in starts)
            for result in chain.from_iterable(parts):
                if isinstance(result, Prediction):
                    rows.append({**added.values(result), self._prefix + REJECT: None})
                else:
                    rows.append({self._prefix + REJECT: json.dumps({"code": result.code, "reason": result.message})})
            names = [*added.names, self._prefix + REJECT]
            labels = pandas.DataFrame(
                [[row.get(name) for name in names] for row in rows], columns=names, index=frame.index, dtype=object
            )
            yield pandas.concat([frame, labels], axis=1)

    def schema(self, before: str) -> str:
        """Spark's schema of the labelled frames, from that of the frames as `simpleString()` gives it."""
        fields = self._added(ModelFolder.open(self.model)).fields()
        added = [f"`{field.name}`:{_spark_type(field.type)}" for field in fields]
        inner = before.removeprefix("struct<").removesuffix(">")
        return f"struct<{','.join([inner, *added, f'`{self._prefix}{REJECT}`:string'])}>"

    def _added(self, folder: ModelFolder) -> LabelledColumns:
        return LabelledColumns(folder.taxonomy, self._prefix, self._scores)


@lru_cache(maxsize=1)
def _load(model: str, threads: int) -> FeedbackClassifier:
    return FeedbackClassifier.load(model, threads=threads, cache_texts=REMEMBERED)


def _spark_type(kind: Any) -> str:
    import pyarrow

    if pyarrow.types.is_list(kind):
        return f"array<{_spark_type(kind.value_type)}>"
    if pyarrow.types.is_struct(kind):
        return f"struct<{','.join(f'`{field.name}`:{_spark_type(field.type)}' for field in kind)}>"
    return {"string": "string", "double": "double", "int32": "int"}[str(kind)]
