import pytest

from data.errors import ConfigError
from training.config import TrainingConfig


def write(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_and_changes_from_the_command_line_become_one_configuration(tmp_path):
    path = write(tmp_path, 'rows = ["a.jsonl"]\noutput = "runs/a"\nepochs = 2\n')
    config = TrainingConfig.read(path, ["learning_rate=5e-5", "rows=b.csv", "onnx_format=float32"], base="some/base")
    assert (config.rows, config.epochs, config.learning_rate) == (("b.csv",), 2.0, 5e-5)
    assert (config.onnx_format, config.base) == ("float32", "some/base")


def test_a_file_takes_from_the_one_that_it_is_like_what_it_does_not_say_itself(tmp_path):
    write(tmp_path, 'rows = ["a.jsonl"]\noutput = "runs/a"\nepochs = 2\n[source_rows]\ncped = 3\n')
    (tmp_path / "second.toml").write_text('like = "run.toml"\noutput = "runs/b"\n', "utf-8")
    (tmp_path / "third.toml").write_text('like = "second.toml"\nepochs = 5\nsource_rows = {}\n', "utf-8")
    config = TrainingConfig.read(tmp_path / "third.toml")
    assert (config.rows, config.output, config.epochs, config.source_rows) == (("a.jsonl",), "runs/b", 5.0, {})


def test_a_file_that_is_like_itself_or_like_a_missing_one_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"run\.toml: is like itself, by way of .*run\.toml"):
        TrainingConfig.read(write(tmp_path, 'like = "run.toml"\n'))
    with pytest.raises(ConfigError, match=r"gone\.toml: no such file, named by `like` in .*run\.toml"):
        TrainingConfig.read(write(tmp_path, 'like = "gone.toml"\n'))


def test_a_configuration_survives_being_saved(tmp_path):
    config = TrainingConfig(rows=("a.jsonl",), output="runs/a", patience=2)
    assert TrainingConfig.from_dict(config.to_dict()) == config


def test_a_typo_is_refused_with_the_nearest_key(tmp_path):
    path = write(tmp_path, 'rows = ["a.jsonl"]\noutput = "runs/a"\nlearning_rat = 1e-4\n')
    with pytest.raises(ConfigError, match=r"run\.toml:\n  unknown key 'learning_rat' \(nearest: 'learning_rate'\)"):
        TrainingConfig.read(path)


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        TrainingConfig(rows=(), output="", dropout=1.5, pooling="max", window_length=64, window_stride=60, patience=9)
    message = str(caught.value)
    for fault in ("rows is empty", "output is empty", "dropout is 1.5", "pooling is 'max'", "window_stride is 60", "patience 9"):
        assert fault in message


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("epochs", "three", "type float"),
        ("batch_size", 3.5, "type int"),
        ("demonstration", 1, "type bool"),
        ("rows", [1], "list of texts"),
    ],
)
def test_a_value_of_another_type_is_refused(key, value, said):
    with pytest.raises(ConfigError, match=f"{key} is .*{said}"):
        TrainingConfig.from_dict({"rows": ["a"], "output": "b", key: value})


def test_a_missing_file_and_a_broken_file_are_told_apart(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.toml: no such file"):
        TrainingConfig.read(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="not a TOML file"):
        TrainingConfig.read(write(tmp_path, "rows = ["))


def test_needed_keys_are_named():
    with pytest.raises(ConfigError, match="'rows' is needed\n  'output' is needed"):
        TrainingConfig.from_dict({})


def test_the_configurations_in_the_repository_are_valid():
    from pathlib import Path

    found = sorted(Path("training").glob("*.toml"))
    assert found
    for path in found:
        assert TrainingConfig.read(path).rows


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("epochs", float("inf"), "epochs is inf; above 0, and finite"),
        ("learning_rate", float("nan"), "learning_rate is nan"),
        ("seed", -1, "seed is -1; from 0"),
        ("report_to", ("wandb",), "report_to has 'wandb'; known: mlflow, tensorboard"),
    ],
)
def test_values_that_would_only_fail_later_are_refused_now(key, value, said):
    with pytest.raises(ConfigError, match=said):
        TrainingConfig(rows=("a",), output="b", **{key: value})
