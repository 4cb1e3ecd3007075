from napari_surfseg.events import ValidationFinished
from napari_surfseg.runs.event_text import describe_cache, describe_event, describe_patches


def test_patches_and_cache_in_words():
    patches = {
        "foreground_fraction": 0.021,
        "foreground_centred_share": 0.65,
        "ignored_fraction": None,
        "sources": {"a": 3, "b": 7},
    }
    assert describe_patches(patches) == (
        "centred on the surface 65.0 %, surface voxels 2.1 %, from a 3, b 7"
    )
    assert describe_patches({}) == ""
    assert describe_cache({}) == ""
    assert describe_cache({"hits": 1, "misses": 2}) == "1 hits, 2 misses"


def test_a_line_says_by_what_an_epoch_is_the_best():
    def line(**changes):
        settings = {"threshold": 0.5, "seconds": 1.0, "scored_by": "mean_dice", **changes}
        (text,) = describe_event(
            ValidationFinished(epoch=1, metrics={"mean_dice": 0.7}, is_best=True, **settings)
        )
        return text

    assert line().endswith("** best so far by mean_dice **")
    assert line(is_warming_up=True).endswith(
        "** best so far by mean_dice, the learning rate still rises **"
    )
