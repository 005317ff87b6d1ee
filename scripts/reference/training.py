"""The training step: AdamW, gradient clipping, and an averaged copy of the weights."""

import copy

import torch


class Ema:
    """Exponential average of a module's parameters, decay min(decay, (1 + n) / (10 + n)).

    n counts the updates, this one included; the average starts as a copy.
    """

    def __init__(self, model, decay=0.9999):
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model):
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for average, value in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(value, 1.0 - decay)


def adamw(model, lr=1e-4, weight_decay=1e-4, betas=(0.9, 0.999), eps=1e-8):
    """AdamW over all parameters, all with the same decay."""
    return torch.optim.AdamW(
        model.parameters(), lr=lr, weight_decay=weight_decay, betas=betas, eps=eps
    )


def training_step(model, objective, optimizer, batch, *, ema=None, clip_norm=None, **given):
    """One update. Returns (loss, nll, mse, gradient norm before clipping or None)."""
    optimizer.zero_grad(set_to_none=True)
    loss, nll, mse = objective(model, batch, **given)
    loss.backward()
    norm = None
    if clip_norm is not None:
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    if ema is not None:
        ema.update(model)
    return loss.detach(), nll.detach(), mse.detach(), norm
