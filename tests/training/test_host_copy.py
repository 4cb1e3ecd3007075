"""Copies that training does not change any more."""

import torch

from napari_surfseg.training.host_copy import copy_to_host


def test_tensors_in_dictionaries_and_lists_are_copied_and_the_rest_is_kept():
    weights = torch.ones(2)
    copied = copy_to_host({"a": [weights, 1], "b": {"c": weights}, "d": None})
    weights.zero_()
    assert copied["a"][0].tolist() == copied["b"]["c"].tolist() == [1, 1]
    assert copied["a"][1] == 1
    assert copied["d"] is None


def test_a_tensor_of_two_names_is_copied_once():
    weights = torch.ones(4)
    copied = copy_to_host({"a": weights, "b": weights.detach(), "part": weights[:2]})
    assert copied["a"].data_ptr() == copied["b"].data_ptr() != weights.data_ptr()
    assert copied["part"].data_ptr() != copied["a"].data_ptr()
