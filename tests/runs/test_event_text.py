from napari_surfseg.runs.event_text import describe_cache, describe_patches


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
