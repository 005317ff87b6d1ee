"""Noise schedule, forward process, objectives and samplers of the heatmap diffusion.

Follows "Salt & Pepper Heatmaps" (arXiv 2407.09192): noise on the landmark channels only, x0 objective
with a spatial negative log likelihood, ancestral sampling with a clamp and a blur that fades out.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F


class NoiseSchedule:
    """Tables over t = 0 .. T-1 in float64, and the posterior q(x_s | x_t, x0) for any s < t."""

    def __init__(self, timesteps=200, beta_start=1e-4, beta_end=0.02, schedule="linear"):
        if schedule != "linear":
            raise ValueError(f"unknown schedule {schedule!r}: linear is the only one")
        self.timesteps = timesteps
        self.betas = np.linspace(beta_start, beta_end, timesteps, dtype=np.float64)
        self.alpha_bar = np.cumprod(1.0 - self.betas)
        posterior = [self.posterior(t, t - 1) for t in range(timesteps)]
        self.posterior_x0, self.posterior_xt, self.posterior_variance = map(
            np.array, zip(*posterior, strict=True)
        )

    def posterior(self, t, s):
        """(weight of x0, weight of x_t, variance) of q(x_s | x_t, x0); s = -1 is x0 itself."""
        bar_t = self.alpha_bar[t]
        bar_s = self.alpha_bar[s] if s >= 0 else 1.0
        # For neighbours the table's beta, which 1 - bar_t / bar_s would only repeat less exactly.
        beta = self.betas[t] if s == t - 1 else 1.0 - bar_t / bar_s
        alpha = 1.0 - beta
        return (
            np.sqrt(bar_s) * beta / (1.0 - bar_t),
            np.sqrt(alpha) * (1.0 - bar_s) / (1.0 - bar_t),
            beta * (1.0 - bar_s) / (1.0 - bar_t),
        )

    def add_noise(self, x0, t, noise):
        """x0, noise: [B, N, H, W], t: [B] -> x_t."""
        bar = torch.from_numpy(self.alpha_bar)[t.cpu()].to(x0.device)
        scale = bar.sqrt().to(x0.dtype)[:, None, None, None]
        spread = (1.0 - bar).sqrt().to(x0.dtype)[:, None, None, None]
        return scale * x0 + spread * noise

    def timesteps_of(self, steps):
        """The times of a chain of `steps` evaluations, from T-1 down ('trailing' spacing).

        steps = T gives T-1 .. 0, steps = 1 gives T-1 alone. The last evaluation is the result.
        """
        return [int(round(self.timesteps * (steps - i) / steps)) - 1 for i in range(steps)]


def one_hot_heatmaps(target, mask, height, width):
    """target: [B, N] pixel index y * W + x, mask: [B, N] 0 or 1 -> x0 [B, N, H, W] of -1 and +1.

    A masked landmark's channel is background everywhere.
    """
    x0 = torch.full((*target.shape, height * width), -1.0, dtype=mask.dtype)
    x0.scatter_(2, target.clamp(min=0)[:, :, None], (2.0 * mask - 1.0)[:, :, None])
    return x0.reshape(*target.shape, height, width)


def spatial_nll(logits, target, mask):
    """-log softmax over all pixels of a channel at the target; mean over the unmasked landmarks.

    Computed in float64 by log-softmax, so that no term needs a floor.
    """
    log_p = F.log_softmax(logits.flatten(2).double(), dim=2)
    at_target = log_p.gather(2, target.clamp(min=0)[:, :, None])[:, :, 0]
    return -(at_target * mask).sum() / mask.sum().clamp(min=1)


def masked_mse(a, b, mask):
    """Mean squared difference over the pixels of the unmasked channels."""
    per_channel = (a - b).square().mean(dim=(2, 3))
    return (per_channel * mask).sum() / mask.sum().clamp(min=1)


@dataclass
class Objective:
    """The training loss. kind: 'x0' | 'epsilon' | 'none' (the baseline without diffusion).

    Batches are {image [B, C, H, W], target [B, N] int64, mask [B, N]}; t [B], noise [B, N, H, W]
    and dropped [B, N] (1 where the channel of x0 is emptied before noising) may be given.
    Returns (loss, nll, mse).
    """

    kind: str
    schedule: NoiseSchedule | None = None
    nll_weight: float = 1.0
    mse_weight: float = 0.01
    channel_dropout: float = 0.0

    def __call__(self, model, batch, t=None, noise=None, dropped=None):
        image, target, mask = batch["image"], batch["target"], batch["mask"]
        height, width = image.shape[2:]
        x0 = one_hot_heatmaps(target, mask, height, width)
        if self.kind == "none":
            logits = model(model.join(image))
            return self.combine(logits, x0, target, mask)
        if t is None:
            t = torch.randint(0, self.schedule.timesteps, (image.shape[0],))
        if noise is None:
            noise = torch.randn(x0.shape)
        start = x0
        if dropped is None and self.channel_dropout > 0:
            dropped = (torch.rand(mask.shape) < self.channel_dropout).float()
        if dropped is not None:
            start = torch.where(dropped[:, :, None, None] > 0, torch.full_like(x0, -1.0), x0)
        x_t = self.schedule.add_noise(start, t, noise)
        output = model(model.join(image, x_t), t)
        if self.kind == "epsilon":
            mse = masked_mse(output, noise, mask)
            return mse, torch.zeros(()), mse
        return self.combine(output, x0, target, mask)

    def combine(self, logits, x0, target, mask):
        nll = spatial_nll(logits, target, mask)
        mse = masked_mse(logits, x0, mask)
        return self.nll_weight * nll + self.mse_weight * mse, nll, mse


def gaussian_kernel(size, sigma):
    """A normalised Gaussian of `size` taps, float64."""
    offset = np.arange(size) - (size - 1) / 2
    taps = np.exp(-0.5 * (offset / sigma) ** 2)
    return taps / taps.sum()


def blur(x, size, sigma):
    """x: [B, N, H, W] convolved with a size x size Gaussian; the border pixels are repeated outward."""
    taps = torch.from_numpy(gaussian_kernel(size, sigma)).to(x.dtype)
    b, n, height, width = x.shape
    planes = F.pad(x.reshape(b * n, 1, height, width), [size // 2] * 4, mode="replicate")
    planes = F.conv2d(F.conv2d(planes, taps.reshape(1, 1, size, 1)), taps.reshape(1, 1, 1, size))
    return planes.reshape(b, n, height, width)


@dataclass
class Sampler:
    """The reverse process. One step is x0(x_T); `steps` evaluations otherwise.

    blur_order: 'blur-clamp' | 'clamp-blur' | 'none'; posterior_variance: 'beta-tilde' | 'beta';
    prior: 'normal' | 'background-mean' (the mean and spread that an all-background x0 has at T-1).
    kind: 'x0' | 'epsilon', what the network predicts.
    """

    schedule: NoiseSchedule
    steps: int = 200
    kind: str = "x0"
    kernel_size: int = 13
    sigma_min: float = 0.1
    sigma_max: float = 14.0
    blur_order: str = "blur-clamp"
    posterior_variance: str = "beta-tilde"
    prior: str = "normal"

    def start(self, noise):
        """x_T from unit noise."""
        if self.prior == "normal":
            return noise
        bar = self.schedule.alpha_bar[-1]
        return -float(np.sqrt(bar)) + float(np.sqrt(1.0 - bar)) * noise

    def sigma(self, t):
        """Width of the blur at time t: sigma_min at 0, sigma_max at T-1."""
        last = max(self.schedule.timesteps - 1, 1)
        return self.sigma_min + t * (self.sigma_max - self.sigma_min) / last

    def tame(self, x0, t):
        """The estimate of x0 as it enters the chain: blurred and clamped."""
        if self.blur_order == "blur-clamp":
            return blur(x0, self.kernel_size, self.sigma(t)).clamp(-1, 1)
        if self.blur_order == "clamp-blur":
            return blur(x0.clamp(-1, 1), self.kernel_size, self.sigma(t))
        return x0.clamp(-1, 1)

    @torch.no_grad()
    def sample(self, model, image, noises=None):
        """image: [B, C, H, W]; noises: [x_T's, then one for each further step], each [B, N, H, W].

        Returns {logits: the last unclamped, unblurred estimate, x0: all of them, states: all x_t}.
        """
        batch, _, height, width = image.shape
        shape = (batch, model.config.landmarks, height, width)
        times = self.schedule.timesteps_of(self.steps)
        x_t = self.start(noises[0] if noises is not None else torch.randn(shape))
        estimates, states = [], [x_t]
        for i, t in enumerate(times):
            output = model(model.join(image, x_t), torch.full((batch,), t, dtype=torch.int64))
            if self.kind == "epsilon":
                bar = self.schedule.alpha_bar[t]
                output = (x_t - float(np.sqrt(1.0 - bar)) * output) / float(np.sqrt(bar))
            estimates.append(output)
            if i + 1 == len(times):
                break
            s = times[i + 1]
            of_x0, of_xt, variance = self.schedule.posterior(t, s)
            if self.posterior_variance == "beta":
                variance = 1.0 - self.schedule.alpha_bar[t] / self.schedule.alpha_bar[s]
            noise = noises[i + 1] if noises is not None else torch.randn(shape)
            x_t = float(of_x0) * self.tame(output, t) + float(of_xt) * x_t
            x_t = x_t + float(np.sqrt(variance)) * noise
            states.append(x_t)
        return {"logits": estimates[-1], "x0": estimates, "states": states}
