"""Convolutions as matrix products compute what the library's own convolution computes."""

import pytest
import torch
import torch.nn.functional as F

from soke.tokenizer.convolution import as_products, convolve, double, halve


def plain_double(x, weight, bias):
    return F.conv1d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, bias, padding=1)


def plain_halve(x, weight, bias):
    return F.conv1d(x, weight, bias, stride=2, padding=1)


def plain_convolve(x, weight, bias, dilation=1):
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv1d(x, weight, bias, padding=padding, dilation=dilation)


def tensors(batch, steps, kernel, inputs=5, outputs=7):
    torch.manual_seed(steps)
    shapes = (batch, inputs, steps), (outputs, inputs, kernel), (outputs,)
    return [torch.randn(shape, requires_grad=True) for shape in shapes]


CASES = [
    (convolve, plain_convolve, 1, (1,)),
    *[(convolve, plain_convolve, 3, (dilation,)) for dilation in (1, 3, 9)],
    (halve, plain_halve, 4, ()),
    (double, plain_double, 3, ()),
]


@pytest.fixture(autouse=True)
def one_thread():
    """With several, small convolutions are the library's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("ours", "plain", "kernel", "rest"), CASES)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("steps", [2, 4, 10, 32])
@pytest.mark.parametrize("time_first", [False, True])
def test_values_and_gradients(ours, plain, kernel, rest, batch, steps, time_first):
    inputs = tensors(batch, steps, kernel)
    expected = plain(*inputs, *rest)
    weights = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, inputs, weights)
    if time_first:  # as it comes from the layer before
        inputs[0] = inputs[0].detach().permute(2, 0, 1).contiguous().permute(1, 2, 0)
        inputs[0].requires_grad_()
    assert as_products(*inputs[:2])
    found = ours(*inputs, *rest)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for gradient, other in zip(torch.autograd.grad(found, inputs, weights), wanted, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("ours", "plain", "kernel", "rest"), CASES)
def test_without_gradients_the_library_computes(ours, plain, kernel, rest):
    x, weight, bias = tensors(2, 8, kernel)
    with torch.no_grad():
        assert not as_products(x, weight)
        assert torch.equal(ours(x, weight, bias, *rest), plain(x, weight, bias, *rest))
    with torch.autocast("cpu", torch.bfloat16):
        assert not as_products(x, weight)


def test_what_comes_out_may_be_changed_in_place():
    x, weight, bias = tensors(2, 6, 3)
    expected = torch.autograd.grad(F.relu(plain_convolve(x, weight, bias)).sum(), (x, weight, bias))
    found = torch.autograd.grad(
        F.relu(convolve(x, weight, bias), inplace=True).sum(), (x, weight, bias)
    )
    for gradient, other in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-5)


def test_no_gradient_of_an_input_that_needs_none():
    x, weight, bias = tensors(2, 6, 3)
    x = x.detach()
    expected = torch.autograd.grad(plain_convolve(x, weight, bias).sum(), (weight, bias))
    found = torch.autograd.grad(convolve(x, weight, bias).sum(), (weight, bias))
    for gradient, other in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-4, atol=1e-4)
