"""The U-Net of "Salt & Pepper Heatmaps" (arXiv 2407.09192), with every open choice as an argument.

The block layout and the parameter names are those of the latent-diffusion family, so that a state
dict of that family loads here. Written as the independent reference for the package's own network.
"""

import math
from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class UNetConfig:
    """The `model` section of a configuration, in Python spelling. Defaults: the paper's network."""

    landmarks: int = 19
    image_channels: int = 1
    time_conditioned: bool = True
    encoder_channels: tuple = (32, 64, 128, 256, 256, 512)
    decoder_channels: tuple = (256, 128, 64, 64, 32, 32)
    res_blocks: int = 2
    attention: tuple = (4, 8)
    middle_attention: bool = True
    heads: int = 2
    head_order: str = "new"
    groups: int = 32
    norm_eps: float = 1e-6
    dropout: float = 0.1
    tanh: str = "before"
    input_order: str = "heatmaps-first"
    time_order: str = "sin-cos"
    time_divisor: str = "half-1"

    @staticmethod
    def from_json(model, *, landmarks, time_conditioned, image_channels=1):
        """The camelCase `model` section (with its nested `timeEmbedding`) -> UNetConfig."""
        return UNetConfig(
            landmarks=landmarks,
            image_channels=image_channels,
            time_conditioned=time_conditioned,
            encoder_channels=tuple(model["encoderChannels"]),
            decoder_channels=tuple(model["decoderChannels"]),
            res_blocks=model["resBlocks"],
            attention=tuple(model["attention"]),
            middle_attention=model["middleAttention"],
            heads=model["heads"],
            head_order=model["headOrder"],
            groups=model["groups"],
            norm_eps=model["normEps"],
            dropout=model["dropout"],
            tanh=model["tanh"],
            input_order=model["inputOrder"],
            time_order=model["timeEmbedding"]["order"],
            time_divisor=model["timeEmbedding"]["divisor"],
        )

    def to_json(self):
        """The camelCase `model` section of this network."""
        values = asdict(self)
        return {
            "encoderChannels": list(values["encoder_channels"]),
            "decoderChannels": list(values["decoder_channels"]),
            "resBlocks": values["res_blocks"],
            "attention": list(values["attention"]),
            "middleAttention": values["middle_attention"],
            "heads": values["heads"],
            "headOrder": values["head_order"],
            "groups": values["groups"],
            "normEps": values["norm_eps"],
            "dropout": values["dropout"],
            "tanh": values["tanh"],
            "inputOrder": values["input_order"],
            "timeEmbedding": {"order": values["time_order"], "divisor": values["time_divisor"]},
        }


def time_encoding(t, dim, *, order="sin-cos", divisor="half-1"):
    """t: [B] integers -> [B, dim] sinusoids, frequencies exp(-ln(10000) i / divisor)."""
    half = dim // 2
    steps = half - 1 if divisor == "half-1" else half
    i = torch.arange(half, dtype=torch.float32, device=t.device)
    frequencies = torch.exp(i * (-math.log(10000.0) / steps))
    angles = t.float()[:, None] * frequencies[None, :]
    pair = (angles.sin(), angles.cos())
    return torch.cat(pair if order == "sin-cos" else pair[::-1], dim=1)


class ResBlock(nn.Module):
    """GroupNorm, SiLU, conv; the time embedding is added; GroupNorm, SiLU, dropout, zero conv."""

    def __init__(self, c_in, c_out, time_dim, config):
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(config.groups, c_in, eps=config.norm_eps),
            nn.SiLU(),
            nn.Conv2d(c_in, c_out, 3, padding=1),
        )
        if time_dim is not None:
            self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, c_out))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(config.groups, c_out, eps=config.norm_eps),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            zero(nn.Conv2d(c_out, c_out, 3, padding=1)),
        )
        self.skip_connection = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x, emb):
        h = self.in_layers(x)
        if emb is not None:
            h = h + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class AttentionBlock(nn.Module):
    """Self-attention over all pixels of a feature map, added to its input."""

    def __init__(self, channels, config):
        super().__init__()
        self.heads = config.heads
        self.head_order = config.head_order
        self.norm = nn.GroupNorm(config.groups, channels, eps=config.norm_eps)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x, emb):
        b, c, height, width = x.shape
        flat = x.reshape(b, c, height * width)
        qkv = self.qkv(self.norm(flat))
        width_of_head = c // self.heads
        # 'new' reads the rows of qkv as (q | k | v), each split in heads; 'legacy' as heads, each
        # split in (q | k | v). Both end as [B, heads, head width, pixels].
        if self.head_order == "new":
            q, k, v = qkv.reshape(b, 3, self.heads, width_of_head, -1).unbind(1)
        else:
            q, k, v = qkv.reshape(b, self.heads, 3, width_of_head, -1).unbind(2)
        tokens = (part.transpose(2, 3) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(*tokens)
        h = self.proj_out(mixed.transpose(2, 3).reshape(b, c, height * width))
        return (flat + h).reshape(b, c, height, width)


class Downsample(nn.Module):
    """3x3 convolution of stride 2."""

    def __init__(self, channels):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x, emb):
        return self.op(x)


class Upsample(nn.Module):
    """Nearest neighbour x2, then a 3x3 convolution."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x, emb):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Stem(nn.Conv2d):
    """The first convolution, taking the (unused) time embedding as the other blocks do."""

    def forward(self, x, emb):
        return super().forward(x)


class Stage(nn.ModuleList):
    """Blocks run one after the other, all given the time embedding."""

    def forward(self, x, emb):
        for block in self:
            x = block(x, emb)
        return x


class UNet(nn.Module):
    """x: [B, N + C, H, W] (or [B, C, H, W] without time), t: [B] int64 or None -> [B, N, H, W].

    N landmarks, C image channels; H and W divide by 2 ** (levels - 1). The output are unbounded
    logits (unless tanh is 'after').
    """

    def __init__(self, config):
        super().__init__()
        self.config = config
        encoder, decoder = config.encoder_channels, config.decoder_channels
        base = encoder[0]
        time_dim = 4 * base if config.time_conditioned else None
        if time_dim is not None:
            self.time_embed = nn.Sequential(
                nn.Linear(base, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim)
            )

        c_in = config.image_channels + (config.landmarks if config.time_conditioned else 0)
        self.input_blocks = nn.ModuleList([Stage([Stem(c_in, base, 3, padding=1)])])
        skips = [base]
        current = base
        for level, width in enumerate(encoder):
            ds = 2**level
            for _ in range(config.res_blocks):
                blocks = [ResBlock(current, width, time_dim, config)]
                if ds in config.attention:
                    blocks.append(AttentionBlock(width, config))
                self.input_blocks.append(Stage(blocks))
                current = width
                skips.append(current)
            if level + 1 < len(encoder):
                self.input_blocks.append(Stage([Downsample(current)]))
                skips.append(current)

        middle = [ResBlock(current, current, time_dim, config)]
        if config.middle_attention:
            middle.append(AttentionBlock(current, config))
        middle.append(ResBlock(current, current, time_dim, config))
        self.middle_block = Stage(middle)

        self.output_blocks = nn.ModuleList()
        for level, width in zip(reversed(range(len(encoder))), decoder, strict=True):
            ds = 2**level
            for i in range(config.res_blocks + 1):
                blocks = [ResBlock(current + skips.pop(), width, time_dim, config)]
                current = width
                if ds in config.attention:
                    blocks.append(AttentionBlock(width, config))
                if level > 0 and i == config.res_blocks:
                    blocks.append(Upsample(width))
                self.output_blocks.append(Stage(blocks))

        # Tanh stands in for SiLU in front of the last convolution ('before'), or is applied to its
        # output ('after'), or is absent ('none'); without it in front there is the usual SiLU.
        head = [
            nn.GroupNorm(config.groups, current, eps=config.norm_eps),
            nn.Tanh() if config.tanh == "before" else nn.SiLU(),
            zero(nn.Conv2d(current, config.landmarks, 3, padding=1)),
        ]
        if config.tanh == "after":
            head.append(nn.Tanh())
        self.out = nn.Sequential(*head)

    def forward(self, x, t=None):
        config = self.config
        emb = None
        if config.time_conditioned:
            encoding = time_encoding(
                t, config.encoder_channels[0], order=config.time_order, divisor=config.time_divisor
            )
            emb = self.time_embed(encoding.to(x.dtype))
        skips = []
        for stage in self.input_blocks:
            x = stage(x, emb)
            skips.append(x)
        x = self.middle_block(x, emb)
        for stage in self.output_blocks:
            x = stage(torch.cat([x, skips.pop()], dim=1), emb)
        return self.out(x)

    def join(self, image, heatmaps=None):
        """image: [B, C, H, W], heatmaps: [B, N, H, W] or None -> the network's input."""
        if heatmaps is None:
            return image
        pair = (heatmaps, image)
        return torch.cat(pair if self.config.input_order == "heatmaps-first" else pair[::-1], dim=1)


def zero(module):
    """The same module with all parameters set to zero."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def count_parameters(module):
    return sum(p.numel() for p in module.parameters())
