"""Keys: only hashes are stored, several at once, changed without a restart; a rate for each."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from data.errors import ConfigError
from serving import keys
from serving.keys import KeyRing, RateLimit, new_key
from serving.settings import ServiceSettings


def line(name: str, key: str, rest: str = "") -> str:
    return f"{name}:{hashlib.sha256(key.encode()).hexdigest()}{rest}"


def test_without_keys_none_is_needed() -> None:
    ring = KeyRing(ServiceSettings())
    assert not ring.needed
    assert ring.find("Bearer anything") is None


def test_several_keys_are_known_by_name_from_environment_and_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# who calls\n{line('desk', 'three')}  # the desk\n\n", "utf-8")
    ring = KeyRing(ServiceSettings(keys=f"{line('shop', 'one')} {line('boss', 'two', ':admin')}", keys_file=file))
    found = [ring.find(f"Bearer {key}") for key in ("one", "two", "three", "four")]
    assert [(key.name, key.admin) if key else None for key in found] == [("shop", False), ("boss", True), ("desk", False), None]


@pytest.mark.parametrize("header", ["", "one", "Basic one", "Bearer", "Bearer ONE", "Bearer one two", "Bearer \udcff"])
def test_a_header_without_a_known_key_finds_none(header: str) -> None:
    assert KeyRing(ServiceSettings(keys=line("shop", "one"))).find(header) is None


def test_a_new_key_opens_and_its_line_does_not_hold_it() -> None:
    key, written = new_key("shop", admin=True)
    assert key not in written
    found = KeyRing(ServiceSettings(keys=written)).find(f"bearer {key}")
    assert found is not None
    assert found.admin


@pytest.mark.parametrize("wrong", ["shop", "shop:abc", f"a b:{'0' * 64}", f"shop:{'0' * 64}:root", "plain-key-in-the-clear"])
def test_a_line_that_is_no_key_is_told_by_its_number_and_not_shown(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{line('first', 'x')}\n{wrong}\n", "utf-8")
    with pytest.raises(ConfigError, match="key 2: not name:sha256") as error:
        KeyRing(ServiceSettings(keys_file=file))
    assert "in-the-clear" not in str(error.value)


def test_a_name_twice_and_a_file_that_is_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'shop' stands there twice"):
        KeyRing(ServiceSettings(keys=f"{line('shop', 'one')} {line('shop', 'two')}"))
    with pytest.raises(ConfigError, match=r"FEEDBACK_KEYS_FILE: .*none cannot be read: No such file"):
        KeyRing(ServiceSettings(keys_file=tmp_path / "none"))


def test_a_changed_file_is_read_again_and_a_broken_one_leaves_the_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "LOOK_AGAIN_S", 0.0)
    file = tmp_path / "keys"
    file.write_text(line("old", "one"), "utf-8")
    ring = KeyRing(ServiceSettings(keys_file=file))
    assert ring.find("Bearer one") is not None
    file.write_text(line("new", "two") + "\n", "utf-8")
    assert ring.find("Bearer one") is None
    assert ring.find("Bearer two") is not None
    file.write_text("broken\n", "utf-8")
    assert ring.find("Bearer two") is not None
    os.remove(file)
    assert ring.find("Bearer two") is not None
    assert "The keys stay as they were" in caplog.text


def test_a_rate_is_a_minutes_worth_that_fills_steadily_for_each_key() -> None:
    now = [0.0]
    limit = RateLimit(2, clock=lambda: now[0])
    assert [limit.take("shop") for _ in range(3)] == [0, 0, 30]
    assert limit.take("desk") == 0
    now[0] = 29.0
    assert limit.take("shop") == 1
    now[0] = 30.0
    assert limit.take("shop") == 0
