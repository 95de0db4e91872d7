"""What fine-tuning and pretraining share around the Trainer."""

from types import SimpleNamespace

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from data.errors import ConfigError
from training.loop import Progress, finished_state, trainer_arguments
from training.model import Base, check_window


def test_a_run_is_finished_only_with_all_its_steps(tmp_path):
    TrainerState(global_step=7, max_steps=8).save_to_json(str(tmp_path / "trainer_state.json"))
    assert finished_state(tmp_path, 8) is None
    assert finished_state(tmp_path, 7).global_step == 7


@pytest.mark.parametrize(("every", "logged"), [(1, 1), (30, 30), (5000, 100)])
def test_a_line_of_progress_comes_as_often_as_a_checkpoint_and_every_hundred_steps_at_least(tmp_path, every, logged):
    made = trainer_arguments(
        tmp_path, steps=6000, every=every, batch_size=4, warmup_steps=3, seed=5, bfloat16=False, report_to="none"
    )
    assert (made.logging_steps, made.save_steps, made.max_steps) == (logged, every, 6000)
    assert (made.seed, made.data_seed) == (5, 5)


@pytest.mark.parametrize(("first", "lines"), [(True, 1), (False, 0)])
def test_of_several_processes_only_the_first_tells_its_progress(tmp_path, caplog, first, lines):
    state = TrainerState(global_step=10, max_steps=40, is_world_process_zero=first)
    with caplog.at_level("INFO", "training.loop"):
        Progress().on_log(TrainingArguments(output_dir=str(tmp_path)), state, TrainerControl(), {"loss": 0.5})
    assert [record.getMessage().startswith("Step 10 of 40, loss 0.500") for record in caplog.records] == [True] * lines


@pytest.mark.parametrize(("kind", "usable"), [("bert", 140), ("xlm-roberta", 138)])
def test_a_window_of_more_pieces_than_the_base_has_positions_is_refused(kind, usable):
    config = SimpleNamespace(max_position_embeddings=140, model_type=kind)
    base = Base(SimpleNamespace(config=config), tokenizer=None, pad_id=1, origin={}, head={})
    check_window(base, usable)
    with pytest.raises(ConfigError, match=rf"window_length is {usable + 1}, the base reads at most {usable} pieces"):
        check_window(base, usable + 1)
