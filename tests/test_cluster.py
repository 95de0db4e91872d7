"""Labelling on a local Ray cluster of two workers gives what one machine gives, also when a worker is killed on the way."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from test_archive import write_csv
from test_kills import content

from serving.archive import Cluster, Progress, label
from serving.classifier import FeedbackClassifier

pytest.importorskip("ray", reason="Ray is in the extra `cluster`, which make cluster installs")

TEXTS = ["快递太差，我要退款 {}", "terrible parcel {}, I want a refund", "بسته {} افتضاح بود", " "]


@pytest.fixture
def archive(tmp_path: Path, classifier: FeedbackClassifier) -> Path:
    rows = [[number, TEXTS[number % len(TEXTS)].format(number)] for number in range(400)]
    label(write_csv(tmp_path / "in.csv", [["id", "text"], *rows]), tmp_path / "in.parquet", classifier, prefix="p_")
    return tmp_path / "in.parquet"


def workers() -> list[int]:
    """Process ids of the cluster's actors that hold a model."""
    import psutil

    started = psutil.Process().children(recursive=True)
    return [each.pid for each in started if any("ShardLabeller" in word for word in each.cmdline())]


def test_a_cluster_whose_worker_is_killed_gives_what_one_machine_gives(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setattr("serving.label_run.PROGRESS_SECONDS", 0.0)
    label(archive, tmp_path / "a.parquet", classifier, shard_rows=10)
    killed: list[int] = []

    def kill(done: Progress) -> None:
        if not killed and done.rows:
            (killed.append(workers()[0]), os.kill(killed[0], signal.SIGKILL))

    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    try:
        report = label(archive, tmp_path / "b.parquet", classifier, shard_rows=10, cluster=Cluster(workers=2), progress=kill)
    finally:
        ray.shutdown()
    assert len(killed) == 1
    assert report.rows == 300
    assert content(tmp_path / "b.parquet") == content(tmp_path / "a.parquet")


def test_a_cluster_goes_on_with_what_one_machine_began(
    archive: Path, tmp_path: Path, classifier: FeedbackClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.label_run.PROGRESS_SECONDS", 0.0)
    label(archive, tmp_path / "a.csv", classifier, shard_rows=50)

    def stop(done: Progress) -> None:
        if done.rows >= 120:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(archive, tmp_path / "b.csv", classifier, shard_rows=50, progress=stop)
    report = label(archive, tmp_path / "b.csv", classifier, shard_rows=50, cluster=Cluster(workers=2))
    assert report.before == 100
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
