"""Finds payment cards (Luhn) and IBANs (mod 97) in a folded text (data/redaction.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CARD = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9][.,])"
    r"(?:[2-6][0-9]{3}([ -]?)[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,3})?|3[0-9]{3}([ -]?)[0-9]{6}\2[0-9]{4,5})"
    r"(?![0-9A-Za-z])(?![.,][0-9])"
)
"""In fours, or as American Express and Diners write them; without, with spaces or with dashes throughout."""
_ISSUERS = {
    14: re.compile("3(?:0[0-5]|[689])"),
    15: re.compile("3[47]"),
    16: re.compile("4|5|6|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|35"),
    17: re.compile("62"),
    18: re.compile("62"),
    19: re.compile("62|4"),
}
"""First digits by length: Visa, Mastercard, UnionPay, Shetab (Iran), JCB, American Express, Diners; of others none is made."""

_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[ -]?[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![0-9A-Za-z])")
_SHEBA = re.compile(r"(?:شبا\w{0,3}|sheba)[^0-9A-Za-z]{0,8}([0-9](?:[ -]?[0-9]){23})(?![0-9A-Za-z])", re.IGNORECASE)
"""Iranians leave out the `IR` of an IBAN where the word for it stands before."""
_BREAK = re.compile(r"[ -]")
_IRANIAN_LENGTH = 26


def cards(text: str) -> Iterator[tuple[int, int]]:
    """Spans of card numbers: 14 to 19 digits of an issuer, right by Luhn."""
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = _BREAK.sub("", match.group())
        issuer = _ISSUERS.get(len(digits))
        if issuer and issuer.match(digits) and luhn.is_valid(digits) and len(set(digits)) > 2:
            yield match.span()


def ibans(text: str) -> Iterator[tuple[int, int]]:
    """Spans of IBANs; words that follow one are not taken for its end."""
    for match in _IBAN.finditer(text):
        start, end = match.span()
        ends = [end, *(start + place.start() for place in reversed(list(_BREAK.finditer(match.group()))))]
        for cut in ends:
            if _is_iban(_BREAK.sub("", text[start:cut]).upper()):
                yield start, cut
                break
    for match in _SHEBA.finditer(text):
        if _is_iban("IR" + _BREAK.sub("", match.group(1))):
            yield match.span(1)


def _is_iban(number: str) -> bool:
    from stdnum import iban
    from stdnum.iso7064 import mod_97_10

    if number.startswith("IR"):  # not in the registry that the library reads
        return len(number) == _IRANIAN_LENGTH and number[2:].isdigit() and mod_97_10.is_valid(number[4:] + number[:4])
    return bool(iban.is_valid(number))
