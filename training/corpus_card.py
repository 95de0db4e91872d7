"""The corpus's data card: `python -m training.corpus_card` writes it, with --check it tells whether it is up to date."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from data.errors import FeedbackError
from training.corpus_figures import CORPUS, Corpus
from training.corpus_pictures import PICTURES, SHOWN, Picture, pictures
from training.corpus_sections import SECTIONS

logger = logging.getLogger(__name__)

TEMPLATE = Path(__file__).with_name("corpus_card.md")
CARD = "README.md"


def write(folder: Path = CORPUS) -> list[Path]:
    """Write the card and its pictures into the corpus's folder and return what was written."""
    corpus = Corpus.read(folder)
    drawn = list(pictures(corpus))
    (folder / PICTURES).mkdir(exist_ok=True)
    for picture in drawn:
        (folder / PICTURES / picture.name).write_bytes(picture.png)
    (folder / CARD).write_text(card(corpus, drawn), "utf-8", newline="\n")
    return [folder / CARD, *(folder / PICTURES / picture.name for picture in drawn)]


def outdated(folder: Path = CORPUS) -> list[Path]:
    """Name the files of the card that are missing, or that say something else than the corpus."""
    corpus = Corpus.read(folder)
    drawn = list(pictures(corpus))
    stale = [folder / PICTURES / picture.name for picture in drawn if _shown(folder / PICTURES / picture.name) != picture.digest]
    path = folder / CARD
    if not path.is_file() or path.read_text("utf-8") != card(corpus, drawn):
        stale.insert(0, path)
    return stale


def _shown(path: Path) -> str | None:
    """The digest of what a picture shows; None if there is no such picture."""
    from PIL import Image

    if not path.is_file():
        return None
    with Image.open(path) as image:
        return str(image.info.get(SHOWN))


def card(corpus: Corpus, drawn: Sequence[Picture]) -> str:
    """The card as Markdown: the words of the template with a section of figures in each place that it leaves open."""
    titles = {f"{picture.name.partition('.')[0]}_title": picture.title for picture in drawn}
    sections = {name: section(corpus) for name, section in SECTIONS.items()}
    return Template(TEMPLATE.read_text("utf-8")).substitute({**titles, **sections})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.corpus_card", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the card is not up to date")
    parser.add_argument("--folder", type=Path, default=CORPUS)
    options: Any = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if options.check:
            stale = outdated(options.folder)
            for path in stale:
                logger.info("%s is not up to date. Run: python -m training.corpus_card", path)
            sys.exit(1 if stale else 0)
        for path in write(options.folder):
            logger.info("%s", path)
    except FeedbackError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
