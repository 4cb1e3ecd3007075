import dataclasses

from napari_surfseg.model.checkpoint import describe_checkpoint
from napari_surfseg.sharing.facts import NetworkFacts, leave_out_paths, write_card
from napari_surfseg.sharing.settings import ShareSettings


def test_a_card_says_what_is_known(tiny_checkpoint):
    facts = NetworkFacts.of(
        tiny_checkpoint, ShareSettings(title="Walls", authors=("A. Person", "B"), licence="CC0-1.0")
    )
    card = write_card(facts, "Run it.")
    for said in (
        "# Walls\n", "Run it.", "8 x 4 x 4 nm", "110 to 900 (uint16)", "30 steps", "Dice 0.800",
        "0.37", "A. Person, B", "CC0-1.0", "## Validation",
    ):  # fmt: skip
        assert said in card, said


def test_what_is_not_known_is_not_invented(tiny_checkpoint):
    bare = dataclasses.replace(
        tiny_checkpoint, intensity=None, units=None, spacing=(1.0, 1.0, 1.0), metrics={}
    )
    facts = NetworkFacts.of(bare, ShareSettings())
    assert facts.title == "cell walls"
    card = write_card(facts, "")
    assert "not known" in card
    assert "Not scored." in card
    assert "its own grey values" in card
    assert "not named" in card


def test_nothing_of_the_machine_goes_along(tiny_checkpoint):
    experiment = tiny_checkpoint.experiment
    pair = {"image": "/home/person/secret/scan.tif", "labels": "/home/person/secret/l.tif"}
    data = type(experiment.data).model_validate({"train": [pair], "validation": [pair]})
    model = experiment.model.model_copy(update={"start_from": "/home/person/best.pt"})
    told = dataclasses.replace(
        tiny_checkpoint,
        experiment=experiment.model_copy(update={"data": data, "model": model}),
        training={"cut": 1},
    )
    clean = leave_out_paths(told)
    assert "person" not in str(describe_checkpoint(clean))
    assert clean.training is None
    assert clean.weights is tiny_checkpoint.weights
