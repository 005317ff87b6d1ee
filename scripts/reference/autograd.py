"""Writes test/fixtures/autograd.json: gradients by PyTorch for test/torch/autograd.

usage: python autograd.py [FILE]

Each entry is what one small program leaves; the test of the same name holds the same program in TypeScript.
"""

import json
import sys
from pathlib import Path

import torch
from torch.utils.checkpoint import checkpoint


def leaf(values, **options):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True, **options)


def function(x):
    return (x.sin() * (x * x).exp()).sum()


def derivatives():
    x = leaf([0.3, -0.7, 1.1])
    y = function(x)
    orders = []
    for _ in range(3):
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        orders.append(g.tolist())
        y = g.sum()
    return orders


def accumulated():
    """Two recorded passes into .grad, then a third derivative of their sum."""
    x = leaf([0.3, -0.7, 1.1])
    function(x).backward(create_graph=True)
    x.cos().sum().backward(create_graph=True)
    first = x.grad.tolist()
    (second,) = torch.autograd.grad(x.grad.sum(), x)
    return {"grad": first, "second": second.tolist()}


def hooks():
    x = leaf([1.0, 2.0])
    y = x * 3
    z = y.exp()
    y.retain_grad()
    calls = []

    def named(name, change):
        def hook(g):
            calls.append([name, g.tolist()])
            return change(g)

        return hook

    x.register_hook(named("x first", lambda g: g * 2))
    z.register_hook(named("z", lambda g: g + 1))
    y.register_hook(named("y", lambda g: g / 2))
    x.register_hook(named("x second", lambda g: None))
    z.sum().backward()
    return {"calls": calls, "x": x.grad.tolist(), "y": y.grad.tolist()}


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, beta):
        ctx.save_for_backward(x)
        ctx.beta = beta
        return x * torch.sigmoid(beta * x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(ctx.beta * x)
        return g * (s + ctx.beta * x * s * (1 - s)), None


class Round(torch.autograd.Function):
    """Straight-through estimator."""

    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, g):
        return g


def trained():
    """Five steps of gradient descent on a small network of both functions."""
    w1 = leaf([[0.5, -0.3], [0.2, 0.8], [-0.6, 0.1]])
    w2 = leaf([[0.4], [-0.9], [0.7]])
    x = torch.tensor([[1.0, 2.0], [-1.5, 0.5], [0.3, -0.8]], dtype=torch.float64)
    y = torch.tensor([[1.0], [0.0], [-1.0]], dtype=torch.float64)
    losses = []
    for _ in range(5):
        hidden = Swish.apply(x @ w1.t(), 1.5)
        out = Round.apply(hidden * 8) / 8 @ w2
        loss = (out - y).square().mean()
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= 0.1 * w.grad
                w.grad = None
    return {"losses": losses, "w1": w1.tolist(), "w2": w2.tolist()}


def checkpointed():
    """Dropout in a recomputed part: same mask, same gradients."""
    torch.manual_seed(3)
    w = torch.randn(4, 4, dtype=torch.float64).requires_grad_()
    b = torch.randn(4, dtype=torch.float64).requires_grad_()
    x = torch.randn(2, 4, dtype=torch.float64).requires_grad_()

    def part(x):
        return torch.dropout((x @ w + b).tanh(), 0.5, True) @ w

    y = checkpoint(part, checkpoint(part, x, use_reentrant=False), use_reentrant=False)
    loss = (y * torch.rand(2, 4, dtype=torch.float64)).sum()
    loss.backward()
    return {"loss": loss.item()} | {n: t.grad.tolist() for n, t in (("w", w), ("b", b), ("x", x))}


def strides():
    """Of .grad, for leaves of several layouts."""
    leaves = {
        "contiguous": torch.zeros(2, 3, 4, 5),
        "transposed": torch.zeros(2, 3, 4, 5).transpose(1, 3),
        "channels last": torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "expanded": torch.zeros(1, 3, 1, 5).expand(2, 3, 4, 5),
        "strided": torch.zeros(2, 3, 4, 10)[..., ::2],
    }
    result = {}
    for name, value in leaves.items():
        x = value.detach().requires_grad_()
        weight = torch.ones(x.shape[1], 1, 1)
        (x * weight).sum().backward()
        result[name] = list(x.grad.stride())
    return result


def functional():
    x = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)
    v = torch.tensor([1.0, 2.0, -1.0], dtype=torch.float64)

    def vector(x):
        return torch.stack([x.prod(), x.sin().sum(), (x * x).sum() * x[0]])

    f = torch.autograd.functional
    return {
        "jacobian": f.jacobian(vector, x).tolist(),
        "hessian": f.hessian(function, x).tolist(),
        "vjp": f.vjp(vector, x, v)[1].tolist(),
        "jvp": f.jvp(vector, x, v)[1].tolist(),
    }


def main():
    default = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "autograd.json"
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    parts = [derivatives, accumulated, hooks, trained, checkpointed, strides, functional]
    target.write_text(json.dumps({part.__name__: part() for part in parts}, indent=1) + "\n")
    print(target)


if __name__ == "__main__":
    main()
