"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from serving.classifier import FeedbackClassifier
    from serving.model_folder import ModelFolder


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
