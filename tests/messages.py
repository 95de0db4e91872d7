"""Messages that tests write into files, and what such a file gives back."""

from __future__ import annotations

from pathlib import Path

from data.tables import Record, open_table

MESSAGES = {
    "zh": ["快递太慢了，等了一个星期才到", "客服态度很好，问题马上就解决了", "怎么退款？付了两次钱"],
    "zh-Hant": ["物流太慢了，等了一個星期才到", "客服態度很好，問題馬上就解決了", "請問怎麼退款？付了兩次錢"],
    "yue": ["啲客服真係好好人，唔該晒", "等咗成個禮拜都未送到"],
    "fa": ["پیک خیلی دیر رسید، یک هفته منتظر بودم", "پشتیبانی عالی بود", "چطور پولم را پس بگیرم؟"],
    "en": ["The parcel took a week", "Support was great, solved at once", "How do I get a refund? “Twice” charged…"],
}


def values(path: Path, **options: str) -> list[dict[str, object]]:
    """The values of every record; fails if one cannot be read."""
    records = list(open_table(path, **options).records())
    assert all(isinstance(record, Record) for record in records), records
    return [record.values for record in records if isinstance(record, Record)]
