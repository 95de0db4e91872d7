"""What the verbs of the command line share: exit codes, and how a verb is added. It takes its options, calls a function, prints."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

CLEAN, FAILED, CALLED_WRONGLY, WITH_REJECTS, STOPPED = 0, 1, 2, 3, 130
"""Exit codes; 2 is what argparse gives, too."""


def add_verb(verbs: Any, name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(verb=function)
    return parser
