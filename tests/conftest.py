"""Fixtures that several test files share."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from data.taxonomy import Taxonomy

if TYPE_CHECKING:
    from serving.classifier import FeedbackClassifier
    from serving.model_folder import ModelFolder
    from serving.settings import ServiceSettings


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    """The one that is shipped."""
    return Taxonomy.read()


@pytest.fixture(scope="session")
def corpus_rows() -> Callable[[str], list[dict[str, Any]]]:
    """Called with a language: the records of the corpus's written part."""
    folder = Path(__file__).resolve().parent.parent / "data" / "corpus"
    return lambda language: [json.loads(line) for line in (folder / f"{language}.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A tiny model folder, shared: a test that alters files makes its own copy."""
    from tiny_model import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def model_path(model_folder: ModelFolder) -> Path:
    return model_folder.path


@pytest.fixture(scope="session")
def classifier(model_folder: ModelFolder) -> Iterator[FeedbackClassifier]:
    from serving.classifier import FeedbackClassifier

    classifier = FeedbackClassifier.load(model_folder, threads=2)
    yield classifier
    classifier.close()


@contextmanager
def answering(classifier: FeedbackClassifier, settings: ServiceSettings) -> Iterator[str]:
    """Our application with these settings, answering on a port of this machine; gives its address."""
    import uvicorn

    from serving.app import make_app

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = make_app(classifier, settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="session")
def url(classifier: FeedbackClassifier) -> Iterator[str]:
    """Our application with the tiny model: at most 4 texts a request, 2 to explain."""
    from serving.settings import ServiceSettings

    with answering(classifier, ServiceSettings(max_texts=4, max_explained_texts=2)) as address:
        yield address
