"""Kinds of messages that are looked at apart: short ones, Traditional characters, Persian in Latin letters."""

from __future__ import annotations

from data.rows import Row

SHORT_CHARACTERS = {"zh": 8}
SHORT_WORDS = 3


def is_short(row: Row) -> bool:
    """At most three words, or eight characters of Chinese."""
    limit = SHORT_CHARACTERS.get(row.primary_language)
    return len(row.text.strip()) <= limit if limit else len(row.text.split()) <= SHORT_WORDS


def is_traditional(text: str) -> bool:
    """Written in Traditional characters: some that Big5 has and GB 2312 has not, and few the other way round."""
    han = [character for character in text if "\u4e00" <= character <= "\u9fff"]
    traditional = sum(_encodes(character, "big5") and not _encodes(character, "gb2312") for character in han)
    simplified = sum(_encodes(character, "gb2312") and not _encodes(character, "big5") for character in han)
    return traditional > simplified


def is_latin_persian(row: Row) -> bool:
    """A Persian row without a letter of the Persian script."""
    return row.language == "fa" and not any("\u0600" <= character <= "\u06ff" for character in row.text)


def _encodes(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
