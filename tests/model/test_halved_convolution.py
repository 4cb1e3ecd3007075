import pytest
import torch
from torch import nn

from napari_surfseg.model.halved_convolution import HalvedConv3d, halve_small_convolutions


@pytest.mark.parametrize("shape", [(8, 6, 10), (5, 6, 7), (3, 5, 8), (3, 3, 3)])
@pytest.mark.parametrize("channels", [(4, 4), (8, 16)])
def test_a_halved_convolution_is_the_convolution(shape, channels):
    torch.manual_seed(0)
    plain = nn.Conv3d(*channels, 3, padding=1)
    halved = nn.Conv3d(*channels, 3, padding=1)
    halved.load_state_dict(plain.state_dict())
    halve_small_convolutions(halved)
    assert type(halved) is HalvedConv3d
    x = torch.randn(1, channels[0], *shape)
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    outputs = [plain(inputs[0]), halved(inputs[1])]
    torch.testing.assert_close(outputs[1], outputs[0], atol=1e-5, rtol=1e-5)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(halved.weight.grad, plain.weight.grad, atol=1e-3, rtol=1e-4)


def test_other_convolutions_are_left_alone():
    layers = nn.Sequential(nn.Conv3d(2, 2, 1), nn.Conv3d(2, 2, 3, stride=2, padding=1))
    halve_small_convolutions(layers)
    assert [type(layer) for layer in layers] == [nn.Conv3d, nn.Conv3d]
