"""Answers that were given before, for texts that come again. One cache belongs to one loaded model and goes with it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import replace

from serving.prediction import Prediction

_KEY_BYTES = 16


class AnswerCache:
    """The last `size` different texts and their predictions. Texts are kept as keyed hashes, never as text.

    It is made with the classifier that fills it and never shared, so an answer of one model cannot be given for another.
    Safe to call from several threads.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._secret = os.urandom(32)
        self._kept: OrderedDict[bytes, Prediction] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def key(self, text: str, code: str | None, explain: bool) -> bytes:
        """What a text is found by, with what else changes the answer: the language that the caller named, and reasons asked for."""
        written = f"{code or ''}\n{explain:d}\n{text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(written, digest_size=_KEY_BYTES, key=self._secret).digest()

    def get(self, key: bytes, item: str | None) -> Prediction | None:
        """The prediction under a key, with this item's id."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            self._kept.move_to_end(key)
        return replace(kept, id=item)

    def put(self, key: bytes, prediction: Prediction) -> None:
        kept = replace(prediction, id=None)
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            if len(self._kept) > self.size:
                self._kept.popitem(last=False)
