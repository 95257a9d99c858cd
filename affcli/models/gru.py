"""A GRU layer over whole windows on a CPU, forwards and backwards by hand.

The layer is PyTorch's nn.GRU (Cho et al. 2014, with the reset gate behind the recurrent product) of b windows of t
frames and h units; x_k is the input and s_k the state of step k, s_0 = 0:

    r, z = sigmoid(W x_k + b + W' s_k-1 + b')     u = W' s_k-1 + b'     n = tanh(W x_k + b + r u)
    s_k = n + z (s_k-1 - n)

nn.GRU records each operation of each step and goes back through them all.  Here only what depends on the step before
is computed step by step: forwards the product with W' and the gates, backwards the gradient D of s_k.  By the chain
rule, with a' for what the function of gate a is applied to,

    dn' = D (1 - z) (1 - n^2)     dr' = dn' u r (1 - r)     dz' = D (s_k-1 - n) z (1 - z)     du = dn' r

in which all but D is known of all steps at once.  The step before is given D z + (dr', dz', du) W'; the gradients of
weights, biases and input are one product each over all b t rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from affcli.models.affine import product

_WORTH = 4096  # states of a step, below which PyTorch predicts faster: what each step costs beside its sums outweighs


def is_faster(cell: nn.GRU, x: Tensor) -> bool:
    """Whether `states` takes less time than `cell` itself: in training always, else where a step is large enough.

    Measured with one and two threads: in training .5 to .95 of nn.GRU's time, in prediction .5 to .9 where b h is at
    least 4096, and up to 3 times as long for a single window.
    """
    return torch.is_grad_enabled() or len(x) * cell.hidden_size >= _WORTH


def states(cell: nn.GRU, x: Tensor) -> Tensor:
    """What `cell(x)[0]` is to 1e-6 (1e-14 in float64): (b, t, d) to (b, t, h), or 2 h where it looks both ways.

    `cell` is of one layer, with biases and batch_first; `x` is one that `affcli.models.affine.is_ours`, of the type of
    the weights.
    """
    made: list[Tensor] = []
    for way in ("", "_reverse")[: 1 + cell.bidirectional]:
        weights = [getattr(cell, f"{name}_l0{way}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        made.append(_Gru.apply(x, *weights, way == "_reverse"))  # type: ignore[no-untyped-call]
    return made[0] if len(made) == 1 else torch.cat(made, dim=-1)


def _steps(t: int, backwards: bool) -> range:
    return range(t - 1, -1, -1) if backwards else range(t)


class _Gru(torch.autograd.Function):
    """One direction: `backwards` is from the last frame to the first.  Gates are in PyTorch's order: r, z, n."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, backwards: bool) -> Tensor:
        (b, t, _), h = x.shape, w_hh.shape[1]
        rows = x.flatten(0, 1)
        gates = product(rows, w_ih, b_ih).view(b, t, 3 * h)
        inner, made = x.new_empty(b, t, h), x.new_empty(b, t, h)  # u and s
        reset_update = gates[..., : 2 * h].unbind(1)
        r, z, n = (gate.unbind(1) for gate in gates.chunk(3, dim=-1))
        u, s = inner.unbind(1), made.unbind(1)
        state = x.new_zeros(b, h)
        recurrent = b_hh.expand(b, 3 * h)  # of the state 0
        first, *others = _steps(t, backwards)
        for k in (first, *others):
            if k != first:
                recurrent = product(state, w_hh, b_hh)
            reset_update[k].add_(recurrent[:, : 2 * h]).sigmoid_()
            u[k].copy_(recurrent[:, 2 * h :])
            # tanh(a) = 2 sigmoid(2 a) - 1: PyTorch's tanh takes five to ten times as long as its sigmoid.
            n[k].addcmul_(r[k], u[k]).mul_(2).sigmoid_().mul_(2).sub_(1)
            state = torch.lerp(n[k], state, z[k])
            s[k].copy_(state)
        ctx.save_for_backward(rows, w_ih, w_hh, gates, inner, made)
        ctx.backwards = backwards
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, w_ih, w_hh, gates, inner, made = ctx.saved_tensors
        b, t, h = made.shape
        r, z, n = gates.chunk(3, dim=-1)
        before = torch.zeros_like(made)  # s_k-1
        if ctx.backwards:
            before[:, :-1] = made[:, 1:]
        else:
            before[:, 1:] = made[:, :-1]
        # First what D is multiplied with, of all steps; then, step by step, the product.
        through = torch.empty_like(gates)
        dr, dz, du = through.chunk(3, dim=-1)
        dn = torch.ops.aten.tanh_backward(1 - z, n)
        torch.mul(dn, r, out=du)
        dr.copy_(torch.ops.aten.sigmoid_backward(dn * inner, r))
        dz.copy_(torch.ops.aten.sigmoid_backward(before - n, z))
        state_grad = torch.empty_like(made)  # D
        d, kept, given = state_grad.unbind(1), z.unbind(1), grad.unbind(1)
        by_gate, flat = through.view(b, t, 3, h).unbind(1), through.unbind(1)
        earlier = made.new_zeros(b, h)
        *others, last = _steps(t, not ctx.backwards)
        for k in (*others, last):
            torch.add(given[k], earlier, out=d[k])
            by_gate[k].mul_(d[k].unsqueeze(1))
            if k != last:
                earlier = product(flat[k], w_hh.t()).addcmul_(d[k], kept[k])
        gates_grad = through.view(b * t, 3 * h)
        wants_x, wants_w_ih, wants_w_hh, wants_b_ih, wants_b_hh, _ = ctx.needs_input_grad
        w_hh_grad = product(gates_grad.t(), before.view(b * t, h).t()) if wants_w_hh else None
        b_hh_grad = gates_grad.sum(0) if wants_b_hh else None
        # What comes through the input and through the state differs in n alone.
        torch.mul(dn, state_grad, out=du)
        x_grad = product(gates_grad, w_ih.t()).view(b, t, -1) if wants_x else None
        w_ih_grad = product(gates_grad.t(), rows.t()) if wants_w_ih else None
        b_ih_grad = gates_grad.sum(0) if wants_b_ih else None
        return x_grad, w_ih_grad, w_hh_grad, b_ih_grad, b_hh_grad, None
