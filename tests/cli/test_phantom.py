import numpy as np


def test_the_phantom(surfseg, volumes, read):
    code, out, err = surfseg("phantom", "scroll", "--shape", "16,180,180", "--seed", "3")
    assert code == 0, err
    assert "scroll/image.zarr" in out.replace("\\", "/")
    image, labels = read("scroll/image.zarr"), read("scroll/labels.zarr")
    assert image.shape == labels.shape == (16, 180, 180)
    assert set(np.unique(labels)) <= {0, 1, 2}
    surfseg("phantom", "again", "--shape", "16,180,180", "--seed", "3")
    np.testing.assert_array_equal(read("again/image.zarr"), image)
    surfseg("phantom", "sparse", "--shape", "16,180,180", "--seed", "3", "--strokes")
    sparse = read("sparse/labels.zarr")
    assert (sparse == 2).mean() > (labels == 2).mean()
