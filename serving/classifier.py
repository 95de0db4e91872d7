"""The one function that labels texts. The command, the endpoint, the jobs, the notebooks and the evaluation all call it."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import MessageError
from data.language import SUPPORTED, Language, identify, is_mixed
from data.text import mend
from data.variants import as_read
from serving.blocks import predict_block, rows_are_alone
from serving.cache import AnswerCache
from serving.explain import explain as explained
from serving.labels import FloatArray, decide_task, pool_windows, probabilities
from serving.model_folder import ALL_LANGUAGES, ModelFolder
from serving.network import CPU, load_network
from serving.prediction import Failure, Prediction
from serving.settings import VARIABLES
from serving.watch import Watch
from serving.windows import ReadMessage, ReadWindow

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]  # ships no types
    from tokenizers import Tokenizer

IN_FLIGHT_PER_THREAD = 8
"""Texts of one call that wait or run at a time, by thread: enough that a long text leaves no other thread idle."""


class FeedbackClassifier:
    """A model folder that answers. Safe to call from several threads at once.

    One text is one run of the network on one thread; texts run side by side on `threads` threads. So an answer depends on the
    text and the model alone, never on what it is sent together with. (Archives share runs in a way that changes no bit of an
    answer: serving/blocks.py.)
    """

    def __init__(
        self,
        folder: ModelFolder,
        session: onnxruntime.InferenceSession,
        tokenizer: Tokenizer,
        threads: int,
        *,
        max_characters: int = 0,
        cache_texts: int = 0,
    ) -> None:
        self.folder = folder
        self.taxonomy = folder.taxonomy
        self.version = folder.version
        self._session = session
        self._inputs = [node.name for node in session.get_inputs()]
        self.tokenizer = tokenizer
        self._stride = folder.window.stride
        self._temperatures = folder.temperatures
        self._thresholds = folder.thresholds
        self.max_characters = min(max_characters or folder.max_characters, folder.max_characters)
        lower = self.max_characters < folder.max_characters
        self._limit_name = VARIABLES["max_characters"] if lower else "limits.max_characters of the model"
        self._cache = AnswerCache(cache_texts) if cache_texts else None
        self._clock = threading.local()
        self._in_flight = IN_FLIGHT_PER_THREAD * threads
        # A single text runs on its caller's thread, several on the pool's; no more than `threads` of them at a time.
        self._cores = threading.Semaphore(threads)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="classify")

    @classmethod
    def load(
        cls,
        folder: str | Path | ModelFolder,
        threads: int | None = None,
        *,
        max_characters: int = 0,
        cache_texts: int = 0,
        device: str = CPU,
    ) -> FeedbackClassifier:
        """Open a model folder and make it ready to answer.

        threads: texts that run side by side; as many as the processor has cores if None.
        max_characters: a lower limit a text than the folder's; the folder's if 0.
        cache_texts: different texts whose answers are kept (serving/cache.py); none if 0.
        device: `cpu`, or `cuda` where ONNX Runtime has its CUDA provider (the package onnxruntime-gpu).
        Raises ModelFolderError if the folder is missing, altered or does not load.
        """
        opened = folder if isinstance(folder, ModelFolder) else ModelFolder.open(folder)
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}: at least one is needed")
        session, tokenizer = load_network(opened, device)
        cores = threads or available_cores()
        return cls(opened, session, tokenizer, cores, max_characters=max_characters, cache_texts=cache_texts)

    def predict(
        self,
        texts: Sequence[str],
        ids: Sequence[str | None] | None = None,
        languages: Sequence[str | None] | None = None,
        *,
        explain: bool = False,
        watch: Watch | None = None,
    ) -> list[Prediction | Failure]:
        """One result for each text, in order; a Failure stands where a text cannot be classified.

        ids: echoed in the results. languages: codes known beforehand (zh, en, fa); None where it is to be identified.
        explain: name the sentences that carried each label; one more run of the network for each sentence.
        watch: measures this call, and can stop it from another thread; predict then raises Stopped.
        """
        if isinstance(texts, str):
            raise TypeError("predict takes a list of texts; write predict([text]) for one")
        keys = ids if ids is not None else [None] * len(texts)
        codes = languages if languages is not None else [None] * len(texts)
        if not len(texts) == len(keys) == len(codes):
            raise ValueError(f"{len(texts)} texts, {len(keys)} ids and {len(codes)} languages: lengths must agree")
        if len(texts) == 1:  # no other thread needs to be woken for it
            if watch is not None:
                watch.ask()
            return [self._predict(texts[0], keys[0], codes[0], explain, watch)]
        items = ((text, key, code, explain) for text, key, code in zip(texts, keys, codes, strict=True))
        return list(self._stream(items, watch))

    def stream(self, texts: Iterable[str]) -> Iterator[Prediction | Failure]:
        """The same for texts without end: results in order, at most IN_FLIGHT_PER_THREAD texts a thread read ahead of them."""
        return self._stream((text, None, None, False) for text in texts)

    def predict_block(
        self, texts: Sequence[str], languages: Sequence[str | None], stopped: Callable[[], bool] = lambda: False
    ) -> list[Prediction | Failure]:
        """The same results as `predict`, for archives: faster, and not interleaved with other calls (serving/blocks.py).

        stopped: asked before every step, from several threads; Stopped is raised once it says yes.
        """
        return predict_block(self, self._pool, texts, languages, stopped)

    @cached_property
    def shares_runs(self) -> bool:
        """Whether texts may share a run of the network without changing a bit of each other's answers; looked at once."""
        return rows_are_alone(self)

    def logits(self, text: str) -> FloatArray:
        """Joint logits of one mended text, shape (labels,), before temperature; windows of a long text are pooled."""
        return self._windows_logits(self.read_windows(text))

    def _windows_logits(self, windows: Sequence[ReadWindow]) -> FloatArray:
        return self.pool_rows(windows, np.stack([self.window_logits(window.ids) for window in windows]))

    def pool_rows(self, windows: Sequence[ReadWindow], rows: FloatArray) -> FloatArray:
        """Joint logits of a text, (labels,), from those of its windows, (windows, labels)."""
        weights = np.array([max(window.fresh, 1) for window in windows], dtype=np.float32)
        return pool_windows(rows, weights, self.taxonomy)

    def read_windows(self, text: str) -> list[ReadWindow]:
        """The windows in which a mended text is read. MessageError if the tokenizer knows no part of it."""
        encoding = self.tokenizer.encode(as_read(text))
        windows = []
        for number, part in enumerate([encoding, *encoding.overflowing]):
            spans = [None if special else span for span, special in zip(part.offsets, part.special_tokens_mask, strict=True)]
            windows.append(ReadWindow(part.ids, spans, self._stride if number else 0))
        if not any(window.pieces for window in windows):
            raise MessageError("empty", "nothing to read: the tokenizer knows no part of the message")
        return windows

    def window_logits(self, ids: Sequence[int]) -> FloatArray:
        """Joint logits of one window of pieces, shape (labels,), before temperature."""
        row: FloatArray = self.network([ids])[0]
        return row

    def network(self, windows: Sequence[Sequence[int]]) -> FloatArray:
        """One run: joint logits, (windows, labels), before temperature, of windows that all have the same number of pieces."""
        ids = np.array(windows, dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        begun = time.perf_counter()
        rows: FloatArray = self._session.run(None, {name: feed[name] for name in self._inputs})[0]
        self._clock.network_s = getattr(self._clock, "network_s", 0.0) + time.perf_counter() - begun
        return rows

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    def _stream(
        self, items: Iterable[tuple[str, str | None, str | None, bool]], watch: Watch | None = None
    ) -> Iterator[Prediction | Failure]:
        waiting: deque[Future[Prediction | Failure]] = deque()
        try:
            for item in items:
                # Few at a time, so that a long list does not keep the texts of other callers waiting.
                if len(waiting) == self._in_flight:
                    yield waiting.popleft().result()
                if watch is not None:
                    watch.ask()
                waiting.append(self._pool.submit(self._predict, *item, watch))
            while waiting:
                yield waiting.popleft().result()
        finally:  # where a text failed, the caller went away or the call was stopped, the rest is not run
            for future in waiting:
                future.cancel()

    def _predict(self, text: str, key: str | None, code: str | None, explain: bool, watch: Watch | None) -> Prediction | Failure:
        with self._cores:
            try:
                if watch is None:
                    return self._predict_kept(text, key, code, explain, None)
                begun, self._clock.network_s = watch.begin(), 0.0
                try:
                    return self._predict_kept(text, key, code, explain, watch)
                finally:
                    watch.end(begun, self._clock.network_s)
            except MessageError as error:
                return Failure(key, error.code, str(error))

    def _predict_kept(self, text: str, key: str | None, code: str | None, explain: bool, watch: Watch | None) -> Prediction:
        kept = self.remembered(text, code, key, explain)
        if kept is None:
            kept = self._predict_one(text, key, code, explain)
            self.remember(text, code, kept, explain)
        elif watch is not None:
            watch.hit()
        return kept

    def _predict_one(self, text: str, key: str | None, code: str | None, explain: bool) -> Prediction:
        read = self.read(text, code)
        return self.answer(read, self._windows_logits(read.windows), key, explain)

    def remembered(self, text: str, code: str | None, key: str | None = None, explain: bool = False) -> Prediction | None:
        """What was answered to the same text before, under another id; None where that is not known any more."""
        if self._cache is None or not isinstance(text, str):
            return None
        return self._cache.get(self._cache.key(text, code, explain), key)

    def remember(self, text: str, code: str | None, prediction: Prediction, explain: bool = False) -> None:
        if self._cache is not None:
            self._cache.put(self._cache.key(text, code, explain), prediction)

    def read(self, text: str, code: str | None) -> ReadMessage:
        """Mend a text, identify its language where `code` is None, and cut it into windows. MessageError where that cannot be."""
        if not isinstance(text, str):
            raise MessageError("not_text", f"a message must be text, this is {type(text).__name__}")
        if len(text) > self.max_characters:
            limit = f"{self.max_characters:,} ({self._limit_name})"
            raise MessageError("too_long", f"{len(text):,} characters; at most {limit}. Send it in parts.")
        mended = mend(text)
        if not mended.text.strip():
            raise MessageError("empty", "nothing to read after mending: the message is empty or blank")
        language = Language(code, 1.0, code in SUPPORTED) if code else identify(mended.text)
        warnings = list(mended.warnings)
        if not language.supported and language.code != "und":
            warnings.append("unsupported_language")
        if is_mixed(mended.text):
            warnings.append("mixed_language")
        return ReadMessage(mended, language, tuple(warnings), self.read_windows(mended.text))

    def answer(self, read: ReadMessage, logits: FloatArray, key: str | None = None, explain: bool = False) -> Prediction:
        """The prediction for a text from its joint logits, (labels,)."""
        temperatures = {task.name: self._temperature(task.name, read.language.code) for task in self.taxonomy}
        answers = {
            task.name: decide_task(
                task,
                probabilities(task, logits[self.taxonomy.columns(task.name)], temperatures[task.name]),
                self._thresholds.get(task.name, {}),
            )
            for task in self.taxonomy
        }
        if explain:
            answers = explained(self, read.mended, answers, logits, temperatures)
        labels = {task: answer.labels for task, answer in answers.items()}
        return Prediction(
            id=key,
            language=read.language,
            answers=answers,
            departments=self.taxonomy.departments(labels),
            priority=self.taxonomy.priority(labels),
            repairs=read.mended.repairs,
            warnings=read.warnings,
            model=self.version,
        )

    def _temperature(self, task: str, language: str) -> float:
        by_language = self._temperatures[task]
        return float(by_language.get(language, by_language[ALL_LANGUAGES]))


def available_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
