"""The encoding of a text file, found from its bytes or named, and its lines in that encoding.

encoding = find_encoding(Path("archive.csv"))          # "utf-8", "gb18030", ...; DataError if it is no text
with Lines(Path("archive.csv"), encoding) as lines:    # a file whose name ends in .gz or .zst is unpacked
    for line in lines: ...                             # lines.number, lines.broken
"""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path

from data.errors import DataError
from data.packing import open_unpacked

SAMPLE_BYTES = 1 << 20
"""How much is looked at to find the encoding, and what else is found from a file's beginning."""
MAX_LINE_CHARACTERS = 16 << 20
"""Longer lines are no message: an unclosed quote, or no table at all."""
MAX_DAMAGED_SHARE = 0.02
"""Of the non-ASCII characters. Fewer broken ones are damage of single rows; more are a wrong encoding."""
MIN_ORDINARY_SHARE = 0.3
"""Of the characters, in UTF-16 without a byte order mark: about half of Chinese text, nearly all of English and Persian."""
SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "cp936": "gb18030", "big5": "big5hkscs"}
"""As browsers do: the larger set that reads the smaller one's files too."""
LEGACY = ("gb18030", "big5hkscs", "cp1256")
"""Told apart by how plausible the characters are, since nearly all bytes fit each of them."""
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
MAGIC = {
    b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"GIF8": "a GIF picture", b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive or a spreadsheet (.xlsx): end its name in .xlsx",
    b"\xd0\xcf\x11\xe0": "an old Office document (.xls): save it as .xlsx or CSV UTF-8",
    b"PAR1": "a Parquet file: end its name in .parquet", b"\x1f\x8b": "compressed by gzip: end its name in .gz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: end its name in .zst", b"SQLite format 3": "an SQLite database",
}  # fmt: skip
BREAK = b"\n"
_ESCAPED = re.compile("[\udc80-\udcff]")  # what errors="surrogateescape" makes of bytes that do not fit
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_PERSIAN_SIGNS = "\u200c\u200d\u200e\u200f«»…“”‘’–—\xa0"
_COMMON_HANZI = frozenset(
    # Some 230 characters that make up about half of ordinary Chinese text, and their Traditional forms.
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多"
    "经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日者意无力它与长把机十民第公此已工使情明性知全"
    "三又关点正业外将两高间由问很最重并物手应向头文体美相见被利什二等产或新己制身果加月话合回特代内信表化老给世位次度门任常先海通"
    "教儿原东声提立及比员解水名真论处走各入几口认条平系气题活更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件快慢送买卖"
    "客服货钱款退差价格质品店吃服务单商用户请谢帮"
    "這個們來為國說時會對於著過發後裡種經麼學現當沒動還進樣開從實無與長機關點業將兩間問並應頭體見產製話內給門兒東聲員論處認條係氣題"
    "變總電數報結務場買賣貨錢價質單請謝幫嘅啲咗係唔冇喺佢"
)


def find_encoding(path: Path, named: str | None = None) -> str:
    """The codec to read a file with: what it is written in, or the one that was named if that fits.

    DataError if the file is binary, if no encoding fits or the named one does not, and for UTF-16 without a byte order mark
    that was not named.
    """
    sample, offset, lines = _sample(path)
    if offset == 0 and _CONTROL.search(sample):
        for magic, what in MAGIC.items():
            if sample.startswith(magic):
                raise DataError(f"{path}: not a text file but {what}.")
    guess = _guess(sample)
    unmarked = _unmarked_utf16(sample) if guess is None else None
    if named is None:
        if unmarked is not None:
            raise DataError(
                f"{path}: looks like UTF-16 without a byte order mark. Name the encoding (--encoding {unmarked}), "
                "or save the file as UTF-8."
            )
        if guess is None and _misfit(sample, "utf-8") is None and (control := _CONTROL.search(sample)):
            at = control.start()
            raise DataError(
                f"{path}: UTF-8, but with control characters in over one of a hundred places, as binary files have them; the first "
                f"is 0x{control[0][0]:02x} (byte {offset + at}, line {lines + sample[:at].count(BREAK) + 1}). "
                "Take them out; if they are meant, name the encoding utf-8."
            )
        if guess is None:
            first = _misfit(sample, "utf-8") or 0
            raise DataError(
                f"{path}: not text in UTF-8 (byte {offset + first}, line {lines + sample[:first].count(BREAK) + 1}), "
                "nor in UTF-16 with a byte order mark, GB18030, Big5 or Windows-1256. "
                "If it is a table in another encoding, name the encoding; if its lines are in several, bring them all into UTF-8; "
                "if it is binary, export it as CSV UTF-8."
            )
        return guess
    try:
        codec = codecs.lookup(named).name
    except LookupError:
        raise DataError(f"{path}: encoding '{named}' is not known. Known: utf-8, utf-16, gb18030, big5, cp1256, ...") from None
    codec = SUPERSETS.get(codec, codec)
    if guess is not None and guess != codec and (guess, codec[:6]) in (("utf-8-sig", "utf-8"), ("utf-16", "utf-16")):
        return guess  # the same, with a byte order mark
    if unmarked:
        hint = f"It looks like UTF-16 without a byte order mark: name {unmarked}."
    else:
        hint = f"It looks like {guess}: name that, or none." if guess else "No other known encoding fits either: is it a text file?"
    position = _misfit(sample, codec)
    if position is not None:
        line = lines + sample[:position].count(BREAK) + 1
        raise DataError(f"{path}:{line}: byte {offset + position} is not {named}. {hint}")
    likely = guess or unmarked
    if likely is not None and likely != codec and _unlike(sample, codec, likely):
        raise DataError(f"{path}: every byte could be {named}, but the characters would make no sense. {hint}")
    return codec


class Lines:
    """Lines of a text file with their ends, of bounded length; says whether bytes were broken since it was last asked."""

    def __init__(self, path: Path, encoding: str) -> None:
        self.path = path
        self.number = 0
        self.broken = False
        self.stream = io.TextIOWrapper(open_unpacked(path), encoding=encoding, errors="surrogateescape", newline="")

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self.stream.readline(MAX_LINE_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > MAX_LINE_CHARACTERS:
            raise DataError(
                f"{self.path}:{self.number}: a line of over {MAX_LINE_CHARACTERS} characters. Is this a table of messages?"
            )
        if not line.isascii() and is_broken(line):
            self.broken = True
        return line


def read_head(path: Path, encoding: str) -> str:
    """The text of the first SAMPLE_BYTES."""
    with open_unpacked(path) as stream:
        return codecs.getincrementaldecoder(encoding)("surrogateescape").decode(stream.read(SAMPLE_BYTES))


def is_broken(text: str) -> bool:
    """Whether a text read from `Lines` holds bytes that are not in the file's encoding."""
    return _ESCAPED.search(text) is not None


def _sample(path: Path) -> tuple[bytes, int, int]:
    """Bytes from the first block that is not plain ASCII on, where they begin, and the lines before them."""
    offset = lines = 0
    with open_unpacked(path) as stream:
        while block := stream.read(SAMPLE_BYTES):
            if offset == 0 and any(block.startswith(bom) for bom in BOMS):
                return block, 0, 0
            if not block.isascii() or _CONTROL.search(block):
                return block + stream.read(SAMPLE_BYTES - len(block)), offset, lines
            offset += len(block)
            lines += block.count(BREAK)
    return b"", offset, lines


def _unlike(sample: bytes, named: str, guess: str) -> bool:
    """Whether a sample, though it can be decoded as named, is plainly in the other encoding."""
    if guess.startswith("utf-16"):  # found by its mark, or by characters that hold zero bytes
        return True
    if guess.startswith("utf-8"):  # many bytes that are UTF-8 by chance: not in real text
        return not named.startswith("utf-8") and len(sample) - len(sample.decode("utf-8", "ignore")) > 10
    return named in LEGACY and guess in LEGACY and _plausibility(sample, named) < _plausibility(sample, guess) - 0.5


def _guess(sample: bytes) -> str | None:
    """The encoding that a sample is written in, None if it is none that we know."""
    for bom, name in BOMS.items():
        if sample.startswith(bom):
            return name
    if len(_CONTROL.findall(sample)) > max(1, len(sample) // 100):
        return None
    if _misfit(sample, "utf-8") is None:
        return "utf-8"
    scores = {name: _plausibility(sample, name) for name in LEGACY}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > 0 else None


def _unmarked_utf16(sample: bytes) -> str | None:
    """UTF-16 without a byte order mark: the byte order under which the characters are ordinary ones, None if neither."""
    for codec in ("utf-16-le", "utf-16-be"):
        text = codecs.getincrementaldecoder(codec)("replace").decode(sample)
        if text and "\0" not in text and sum(map(_ordinary, text)) >= len(text) * MIN_ORDINARY_SHARE:
            return codec
    return None


def _ordinary(character: str) -> bool:
    """Whether a character is in everyday use in one of our languages: in the wrong byte order, hardly any is."""
    return (
        " " <= character <= "~"
        or character in "\t\r\n"
        or "\u0600" <= character <= "\u06ff"
        or "\u3000" <= character <= "\u303f"  # punctuation of Chinese
        or "\uff00" <= character <= "\uffef"  # full width
        or character in _PERSIAN_SIGNS
        or character in _COMMON_HANZI
    )


def _misfit(sample: bytes, encoding: str) -> int | None:
    """Position of the first byte that does not fit, None if (nearly) all do."""
    if encoding == "utf-16" and not sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return 0
    decoder = codecs.getincrementaldecoder(encoding)
    try:
        text = decoder().decode(sample)
    except UnicodeDecodeError as error:
        first = error.start
    else:
        # UTF-16 fits nearly everything of even length: text has line breaks and spaces.
        return 0 if encoding.startswith("utf-16") and len(text) > 100 and not re.search(r"[\n ,]", text) else None
    try:
        text = decoder("surrogateescape").decode(sample)
    except UnicodeDecodeError:
        return first
    broken = len(_ESCAPED.findall(text))
    others = sum(1 for character in text if character > "\x7f") - broken
    return first if broken > others * MAX_DAMAGED_SHARE else None


def _plausibility(sample: bytes, encoding: str) -> float:
    """How far the characters above ASCII are those of the languages that use the encoding; above 0 is plausible."""
    if _misfit(sample, encoding) is not None:
        return -1.0
    text = codecs.getincrementaldecoder(encoding)("surrogateescape").decode(sample)
    characters = [character for character in text if character > "\x7f"]
    if encoding == "cp1256":
        known = sum("\u0600" <= character <= "\u06ff" or character in _PERSIAN_SIGNS for character in characters)
        return 0.5 if known >= 0.95 * len(characters) else -1.0
    return sum(_weight(character, encoding) for character in characters) / max(1, len(characters))


def _weight(character: str, encoding: str) -> float:
    if character in _COMMON_HANZI:
        return 1.0
    code = character.encode(encoding, "replace")
    if len(code) != 2:
        return -0.5
    # Level 1 of GB 2312 and of Big5: the characters in ordinary use. Before it: punctuation and full-width forms.
    frequent, signs = ((0xB0, 0xD7), (0xA1, 0xA3)) if encoding == "gb18030" else ((0xA4, 0xC6), (0xA1, 0xA3))
    if frequent[0] <= code[0] <= frequent[1] and (encoding != "gb18030" or code[1] >= 0xA1):
        return 0.2
    return 0.1 if signs[0] <= code[0] <= signs[1] and code[1] >= 0xA1 else -0.5
