"""The recurrence of gated recurrent units on the CPU, several directions at once (Cho et al. 2014, PyTorch's form).

    r, z = sigmoid(x_r + W_r h + b_r), sigmoid(x_z + W_z h + b_z)
    n = tanh(x_n + r * (W_n h + b_n))
    h = (1 - z) * n + z * h

Automatic differentiation adds a gradient of the size of W to a sum in every frame, which takes most of the time of
wide layers; here it is one product over all frames.
"""

from typing import Any

import torch
from torch import Tensor
from torch.amp.autocast_mode import custom_bwd, custom_fwd


def scan_gru(from_inputs: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """States (directions, frames, batch, units) of GRUs that start at zero, in float32 or float64.

    from_inputs (directions, frames, batch, 3 * units) are x_r, x_z and x_n, weights (directions, 3 * units, units)
    are W_r, W_z and W_n one below the other, and bias (directions, 3 * units) b_r, b_z and b_n.
    """
    return _Scan.apply(from_inputs, weights, bias)


class _Scan(torch.autograd.Function):
    """Frames are the first axis within, so that one frame of all directions is one piece of memory."""

    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(ctx: Any, from_inputs: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
        directions, frames, batch, _ = from_inputs.shape
        units = weights.shape[-1]
        gated, proposed = from_inputs.transpose(0, 1).split((2 * units, units), -1)
        transposed = weights.transpose(1, 2).contiguous()
        bias = bias[:, None].expand(-1, batch, -1)
        gates = weights.new_empty(frames, directions, batch, 2 * units)  # r and z
        inner, new, states = weights.new_empty(3, frames, directions, batch, units)  # W_n h + b_n, n, h
        product = weights.new_empty(directions, batch, 3 * units)
        state = weights.new_zeros(directions, batch, units)
        for t in range(frames):
            torch.baddbmm(bias, state, transposed, out=product)
            torch.add(gated[t], product[..., : 2 * units], out=gates[t]).sigmoid_()
            reset, update = gates[t].split(units, -1)
            inner[t] = product[..., 2 * units :]
            torch.addcmul(proposed[t], reset, inner[t], out=new[t]).tanh_()
            state = torch.lerp(new[t], state, update, out=states[t])
        ctx.save_for_backward(weights, gates, inner, new, states)
        return states.transpose(0, 1)

    @staticmethod
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights, gates, inner, new, states = ctx.saved_tensors
        frames, directions, batch, units = states.shape
        before = torch.cat([states.new_zeros(1, directions, batch, units), states[:-1]])
        reset, update = gates.split(units, -1)
        to_new = (1 - update) * (1 - new.square())  # dh / d(argument of tanh)
        to_update = (before - new) * update * (1 - update)  # dh / d(argument of z's sigmoid)
        to_reset = inner * reset * (1 - reset)  # d(argument of tanh) / d(argument of r's sigmoid)
        gradient = grad_outputs[0].transpose(0, 1)
        products = states.new_empty(frames, directions, batch, 3 * units)  # gradients of W h + b
        proposed = torch.empty_like(states)  # and of x_n
        of_state = torch.zeros_like(states[0])
        for t in reversed(range(frames)):
            of_state = of_state + gradient[t]
            product = products[t]
            torch.mul(of_state, to_new[t], out=proposed[t])
            torch.mul(proposed[t], to_reset[t], out=product[..., :units])
            torch.mul(of_state, to_update[t], out=product[..., units : 2 * units])
            torch.mul(proposed[t], reset[t], out=product[..., 2 * units :])
            of_state = torch.baddbmm(of_state * update[t], product, weights)
        from_inputs = torch.cat([products[..., : 2 * units], proposed], -1).transpose(0, 1)
        of_weights = torch.stack(
            [products[:, k].flatten(0, 1).T @ before[:, k].flatten(0, 1) for k in range(directions)]
        )
        return from_inputs, of_weights, products.sum((0, 2))
