"""Keys of callers: only their hashes are stored, so a file that leaks opens nothing.

    python -m serving.keys NAME [--admin]     makes a key: the caller gets the first line, the file the second

A line is `name:sha256` or `name:sha256:admin`; in the environment several stand apart by blanks. `#` begins a comment.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import logging
import math
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from data.errors import ConfigError
from serving.settings import VARIABLES, ServiceSettings

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0
"""How often, at most, it is looked whether the file of keys has changed."""
KEY_BYTES = 32
"""So much chance that a plain hash is enough: nobody guesses 256 bits, slowly or fast."""
_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,64}):(?P<digest>[0-9a-fA-F]{64})(?P<admin>:admin)?")


@dataclass(frozen=True)
class Key:
    name: str
    """Whose it is; stands in the log."""
    digest: bytes
    """SHA-256 of the key."""
    admin: bool
    """May load another model."""


class KeyRing:
    """The keys that are known now. Without any, every caller is let in (and none as an admin)."""

    def __init__(self, settings: ServiceSettings) -> None:
        """ConfigError where a line is no key or the file cannot be read."""
        self._file = settings.keys_file
        self._fixed = _read(settings.keys.split(), VARIABLES["keys"])
        self._stamp: tuple[int, int, int] | None = None
        self._looked = -math.inf
        self._keys = self._fixed
        self.needed = settings.has_keys
        if self._file is not None:
            self._keys = self._fixed + _read_file(self._file)
            self._stamp = _stamp(self._file)

    def find(self, authorization: str) -> Key | None:
        """The key that a header `Authorization: Bearer ...` holds; None if it is none of ours."""
        self._look_again()
        scheme, _, written = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        asked = hashlib.sha256(written.strip().encode("utf-8", "surrogateescape")).digest()
        found = None
        for key in self._keys:  # all of them, in constant time each: how long it takes tells nothing
            if hmac.compare_digest(key.digest, asked):
                found = key
        return found

    def _look_again(self) -> None:
        now = time.monotonic()
        if self._file is None or now - self._looked < LOOK_AGAIN_S:
            return
        self._looked = now
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = self._fixed + _read_file(self._file)
        except ConfigError as error:
            logger.error("The keys stay as they were: %s", error)
        else:
            logger.info("%d keys are known now", len(self._keys))


class RateLimit:
    """A bucket of requests for each key; it holds a minute's worth and fills steadily."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_minute / 60
        self._size = max(1.0, per_minute)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}  # by name: requests left, and when that was

    def take(self, name: str) -> int:
        """Take one request out of a key's bucket; seconds until there is one again if it is empty, else 0."""
        now = self._clock()
        left, then = self._left.get(name, (self._size, now))
        left = min(self._size, left + (now - then) * self._per_second)
        if left < 1:
            self._left[name] = (left, now)
            return math.ceil((1 - left) / self._per_second)
        self._left[name] = (left - 1, now)
        return 0


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        known = file.stat()
    except OSError:
        return None
    return known.st_mtime_ns, known.st_size, known.st_ino


def _read_file(file: Path) -> tuple[Key, ...]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{VARIABLES['keys_file']}: {file} cannot be read: {why}.") from None
    return _read((line.partition("#")[0].strip() for line in lines), str(file))


def _read(lines: Iterable[str], where: str) -> tuple[Key, ...]:
    """Keys of the lines that are not empty. What is wrong is told by number: a line may hold a key in the clear."""
    keys: dict[str, Key] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise ConfigError(f"{where}, key {number}: not name:sha256 or name:sha256:admin. Make one: python -m serving.keys NAME")
        if parts["name"] in keys:
            raise ConfigError(f"{where}, key {number}: '{parts['name']}' stands there twice. Give each key its own name.")
        keys[parts["name"]] = Key(parts["name"], bytes.fromhex(parts["digest"]), parts["admin"] is not None)
    return tuple(keys.values())


def new_key(name: str, admin: bool = False) -> tuple[str, str]:
    """A new key for a caller, and the line for the file. ConfigError if the name is none."""
    key = secrets.token_urlsafe(KEY_BYTES)
    line = f"{name}:{hashlib.sha256(key.encode()).hexdigest()}{':admin' if admin else ''}"
    _read([line], f"name '{name}'")
    return key, line


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m serving.keys", description="Make a key for a caller of the service.")
    parser.add_argument("name", help="whose key: letters, digits and ._-")
    parser.add_argument("--admin", action="store_true", help="may load another model")
    options = parser.parse_args()
    try:
        key, line = new_key(options.name, options.admin)
    except ConfigError:
        parser.error("a name has letters, digits and ._- only, 64 at most")
    print(f"{key}\n{line}")  # noqa: T201  # the command's output


if __name__ == "__main__":
    main()
