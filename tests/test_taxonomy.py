import tomllib

import pytest

from data.errors import TaxonomyError
from data.taxonomy import DEFAULT_TAXONOMY, Taxonomy

SMALL = {
    "tasks": {
        "mood": {"kind": "single", "labels": [{"name": "good"}, {"name": "bad"}]},
        "topic": {
            "kind": "multi",
            "at_least_one": True,
            "labels": [
                {"name": "food", "departments": ["kitchen", "buying"]},
                {"name": "staff", "departments": ["floor"]},
                {"name": "other", "exclusive": True},
            ],
        },
    },
    "priority": {
        "zero": {"mood": ["good"]},
        "rules": [{"task": "mood", "labels": ["bad"]}, {"task": "topic", "labels": ["staff"]}],
    },
}


def changed(**changes):
    document = tomllib.loads(DEFAULT_TAXONOMY.read_text("utf-8"))
    document.update(changes)
    return document


def test_the_file_in_the_package_has_three_tasks_and_names_in_three_languages():
    taxonomy = Taxonomy.read()
    assert taxonomy.task_names == ("sentiment", "tone", "category")
    assert [len(task.labels) for task in taxonomy] == [3, 6, 12]
    for task in taxonomy:
        for label in task.labels:
            assert set(label.display) == {"zh", "en", "fa"}
            assert label.about


def test_a_taxonomy_survives_being_saved():
    assert Taxonomy.from_dict(Taxonomy.read().to_dict()) == Taxonomy.read()


def test_tasks_are_neighbouring_slices_of_the_joint_head():
    taxonomy = Taxonomy.read()
    assert [taxonomy.columns(name) for name in taxonomy.task_names] == [slice(0, 3), slice(3, 9), slice(9, 21)]
    assert taxonomy.size == 21


def test_departments_come_without_repeats_in_the_taxonomys_order():
    taxonomy = Taxonomy.from_dict(SMALL)
    assert taxonomy.departments({"topic": ["staff", "food"]}) == ("kitchen", "buying", "floor")
    assert taxonomy.departments({"topic": ["other"]}) == ()


@pytest.mark.parametrize(
    ("answers", "priority"),
    [
        ({"sentiment": ["negative"], "tone": ["frustrated"], "category": ["delivery"]}, 1),
        ({"sentiment": ["negative"], "tone": ["calm"], "category": ["payment"]}, 2),
        ({"sentiment": ["negative"], "tone": ["angry"], "category": ["account", "payment"]}, 3),
        ({"sentiment": ["neutral"], "tone": ["anxious"], "category": ["question"]}, 1),
        ({"sentiment": ["positive"], "tone": ["angry"], "category": ["payment"]}, 0),
    ],
)
def test_priority_follows_the_table(answers, priority):
    assert Taxonomy.read().priority(answers) == priority


def test_an_unknown_label_is_told_with_the_nearest_one():
    with pytest.raises(TaxonomyError, match=r"category 'paymnt' is not in the taxonomy \(nearest: 'payment'\)"):
        Taxonomy.read()["category"].index("paymnt")


@pytest.mark.parametrize("name", ["model", "language", "text", "priority"])
def test_a_task_may_not_be_named_like_a_column(name):
    document = {"tasks": {name: {"kind": "single", "labels": [{"name": "a"}, {"name": "b"}]}}}
    with pytest.raises(TaxonomyError, match=f"task '{name}': the name is taken by a column"):
        Taxonomy.from_dict(document)


def test_a_task_may_not_collide_with_another_tasks_column():
    two = {"kind": "single", "labels": [{"name": "a"}, {"name": "b"}]}
    with pytest.raises(TaxonomyError, match="task 'mood_known' collides with a column of task 'mood'"):
        Taxonomy.from_dict({"tasks": {"mood": two, "mood_known": two}})


def test_all_faults_are_told_at_once():
    document = {
        "tasks": {
            "mood": {"kind": "maybe", "labels": [{"name": "a"}, {"name": "a"}], "abstain_below": 2},
            "topic": {"kind": "single", "labels": [{"name": "x|y", "exclusive": True, "colour": 1}]},
        },
        "priority": {"rules": [{"task": "moud", "labels": ["a"]}]},
        "extra": 1,
    }
    with pytest.raises(TaxonomyError) as caught:
        Taxonomy.from_dict(document, where="own.toml")
    message = str(caught.value)
    assert message.startswith("own.toml:")
    for fault in (
        "unknown keys extra",
        "kind is 'maybe'",
        "stand twice: a",
        "abstain_below is 2",
        "no '|'",
        "exclusive has a meaning",
        "unknown keys colour",
        "at least two labels",
        "task 'moud' is not defined",
    ):
        assert fault in message


def test_a_missing_file_and_a_broken_file_are_told_apart(tmp_path):
    with pytest.raises(TaxonomyError, match="no such file"):
        Taxonomy.read(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("tasks = [", "utf-8")
    with pytest.raises(TaxonomyError, match=r"broken\.toml: not a TOML file"):
        Taxonomy.read(broken)


def test_a_file_without_tasks_is_refused():
    with pytest.raises(TaxonomyError, match="no tasks"):
        Taxonomy.from_dict(changed(tasks={}))
