"""Finds numbers of orders, parcels, invoices and tickets in a folded text (data/redaction.py). Most have no check digit:
they are known by the word before them, a few by their shape."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = r"((?=[A-Za-z0-9_/-]*[0-9]{3})[A-Za-z0-9](?:[A-Za-z0-9]|[-_/](?=[A-Za-z0-9])){3,39})(?![A-Za-z0-9])"
_LONG = r"((?=[A-Za-z0-9_/-]*[0-9]{6})[A-Za-z0-9](?:[A-Za-z0-9]|[-_/](?=[A-Za-z0-9])){5,39})(?![A-Za-z0-9])"
_IS = r"(?:[\s:：=#.\"'“”(（\[【「-]|是|为|為|\bis\b|\bwas\b|هست|برابر|با|من|ام)*"
_NAMED = (
    # 订单号：2025…
    re.compile(rf"(?:订单|訂單|单|單|流水|交易|发票|發票|工单|包裹)(?:编号|編號|号码|號碼|号|號|ID){_IS}{_TOKEN}", re.IGNORECASE),
    re.compile(rf"(?:订单|訂單|退款单|退款單|退货单|快递单|运单|運單|工单|工單){_IS}{_LONG}", re.IGNORECASE),
    # order no. 2025…
    re.compile(
        rf"\b(?:order|purchase|parcel|shipment|tracking|invoice|ticket|case|confirmation|booking|reservation|receipt|return|rma|awb|waybill)s?"
        rf"\s*(?:no\b\.?|number|num\b|nr\b\.?|id\b|ref(?:erence)?\b|code|#|№)\s*{_IS}{_TOKEN}",
        re.IGNORECASE,
    ),
    re.compile(rf"\b(?:order|purchase|parcel|shipment|tracking|invoice|ticket|rma|waybill)\b{_IS}{_LONG}", re.IGNORECASE),
    # شماره سفارش ۲۰۲۵…
    re.compile(
        r"(?:شماره|کد|شناسه)\s*(?:ی\s+)?(?:ی?\s*)(?:سفارش|پیگیری|رهگیری|مرسوله|فاکتور|تراکنش|ارجاع|خرید|بارنامه|تیکت|رزرو|بسته|پرونده)"
        rf"[\u0600-\u06ff]{{0,3}}{_IS}{_TOKEN}"
    ),
    re.compile(rf"(?:سفارش|فاکتور|تیکت|مرسوله)\w{{0,3}}\s*(?:به |با )?(?:شماره|کد)\w?{_IS}{_TOKEN}"),
    re.compile(rf"(?:سفارش|مرسوله|فاکتور|تیکت){_IS}{_LONG}"),
)
_SHAPES = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"(?<=#)[0-9]{5,20}"
    r"|(?:ORD|ORDER|INV|RMA|TKT|DKC|TRK)[-_ ]?[0-9]{2,8}(?:-?[0-9]{2,12}){0,2}"
    r"|(?:SF|YT|ZTO|STO|JD|JDV|JT)[0-9]{10,15}"
    r"|1Z[0-9A-Z]{16}"
    r"|[0-9]{3}-[0-9]{7}-[0-9]{7}"
    r")(?![0-9A-Za-z])(?!-[0-9])",
    re.IGNORECASE,
)
"""`#12345`, shops' own prefixes, the large Chinese carriers, UPS, Amazon."""
_POSTAL = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2} ?([0-9]{8})([0-9]) ?[A-Z]{2}(?![0-9A-Za-z])", re.IGNORECASE)
_POSTAL_WEIGHTS = (8, 6, 4, 2, 3, 5, 9, 7)
_DATE = re.compile(r"(?:19|20|13|14)[0-9]{2}([-/])[0-9]{1,2}\1[0-9]{1,2}$|[0-9]{1,2}([-/])[0-9]{1,2}\2(?:19|20|13|14)?[0-9]{2}$")
_QUANTITY_AFTER = re.compile(
    r"\s*(?:pieces|pcs|units|items|dollars|usd|euro|points|件|个|個|元|块|套|箱|عدد|تومان|تومن|ریال|هزار|میلیون|دلار)",
    re.IGNORECASE,
)


def named_orders(text: str) -> Iterator[tuple[int, int]]:
    """Spans of numbers right after a word that says what they are."""
    taken: set[int] = set()
    for pattern in _NAMED:
        for match in pattern.finditer(text):
            start, end = match.span(1)
            if start in taken or _DATE.match(match.group(1)) or _QUANTITY_AFTER.match(text, end):
                continue
            taken.add(start)
            yield start, end


def order_shapes(text: str) -> Iterator[tuple[int, int]]:
    """Spans of numbers whose shape says what they are."""
    for match in _SHAPES.finditer(text):
        yield match.span()
    for match in _POSTAL.finditer(text):
        if is_postal_number(match.group(1), match.group(2)):
            yield match.span()


def is_postal_number(digits: str, check: str) -> bool:
    """The check digit of a parcel's number of the Universal Postal Union (S10)."""
    rest = 11 - sum(int(digit) * weight for digit, weight in zip(digits, _POSTAL_WEIGHTS, strict=True)) % 11
    return int(check) == {10: 0, 11: 5}.get(rest, rest)
