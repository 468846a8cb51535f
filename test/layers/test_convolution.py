"""Convolutions with rows and columns exchanged are PyTorch's own, in values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from sertk.layers.convolution import WideConv2d


@pytest.mark.parametrize("size", [(11, 9), (12, 8), (13, 10)])
@pytest.mark.parametrize("kernel, stride", [((3, 4), (2, 3)), ((2, 2), (2, 2)), ((5, 3), (1, 2))])
def test_values_and_gradients(size, kernel, stride):
    torch.manual_seed(0)
    layer = WideConv2d(2, 3, kernel, stride).double()
    values = torch.randn(2, 2, *size, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(values, layer.weight, layer.bias, stride)
    results = layer(values)
    torch.testing.assert_close(results, expected)
    given, wanted = (values, *layer.parameters()), torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad((results * wanted).sum(), given), torch.autograd.grad((expected * wanted).sum(), given)
    )
