"""Writes the committed parity fixtures: test/fixtures/<case>.safetensors with <case>.json beside.

usage: python make_fixtures.py [FOLDER]   (default: test/fixtures of this repository)

Everything is drawn from fixed seeds, so a second run writes the same values. Each case is also run
in float64, and the largest difference is printed: the conditioning that a comparison relies on.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from cases import build_model, build_schedule, run_case
from diffusion import blur
from layers import library_fixtures
from sequences import sequence_fixtures
from unet import UNet, UNetConfig, count_parameters

HEIGHT, WIDTH, LANDMARKS, BATCH = 24, 16, 3, 2

MODEL = {
    "encoderChannels": [8, 16, 16],
    "decoderChannels": [16, 8, 8],
    "resBlocks": 1,
    "attention": [2, 4],
    "middleAttention": True,
    "heads": 2,
    "headOrder": "new",
    "groups": 4,
    "normEps": 1e-6,
    "dropout": 0.0,
    "tanh": "before",
    "inputOrder": "heatmaps-first",
    "timeEmbedding": {"order": "sin-cos", "divisor": "half-1"},
}
DIFFUSION = {
    "objective": "x0",
    "timesteps": 200,
    "schedule": "linear",
    "betaStart": 1e-4,
    "betaEnd": 0.02,
    "posteriorVariance": "beta-tilde",
    "nllWeight": 1.0,
    "mseWeight": 0.01,
    "channelDropout": 0.0,
    "prior": "normal",
}
TRAIN = {
    "lr": 1e-3,
    "weightDecay": 1e-4,
    "betas": [0.9, 0.999],
    "eps": 1e-8,
    "clipNorm": None,
    "ema": {"decay": 0.9999},
}


def describe(kind, model=None, **more):
    return {
        "kind": kind,
        "model": MODEL | (model or {}),
        "landmarks": LANDMARKS,
        "imageChannels": 1,
        "timeConditioned": True,
        "height": HEIGHT,
        "width": WIDTH,
        "batch": BATCH,
    } | more


def random_weights(case):
    """Every parameter non-zero, the zero-initialised ones too, at sizes that keep values near 1."""
    weights = {}
    for name, value in build_model(case).state_dict().items():
        if value.ndim > 1:
            fan_in = value[0].numel()
            drawn = torch.randn(value.shape) / fan_in**0.5
        else:
            gain_of_norm = name.endswith(".weight")
            drawn = (1.0 if gain_of_norm else 0.0) + 0.1 * torch.randn(value.shape)
        weights[f"weights.{name}"] = drawn
    return weights


def random_batch(steps=None, timesteps=200, time_conditioned=True, mask_one=True):
    """input.* of one batch, or of several stacked. One landmark is masked: index -1, mask 0."""
    lead = (BATCH,) if steps is None else (steps, BATCH)
    target = torch.randint(0, HEIGHT * WIDTH, (*lead, LANDMARKS))
    mask = torch.ones(*lead, LANDMARKS)
    if mask_one:
        target[..., 1, 2], mask[..., 1, 2] = -1, 0.0
    values = {
        "input.image": torch.rand(*lead, 1, HEIGHT, WIDTH) * 2 - 1,
        "input.target": target,
        "input.mask": mask,
    }
    if time_conditioned:
        values["input.t"] = torch.randint(0, timesteps, lead)
        values["input.noise"] = torch.randn(*lead, LANDMARKS, HEIGHT, WIDTH)
    return values


class Writer:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def write(self, name, description, tensors):
        path = self.folder / f"{name}.safetensors"
        save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, path)
        path.chmod(0o644)
        text = json.dumps(description, indent=2) + "\n"
        (self.folder / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{name}: {path.stat().st_size / 1024:.0f} KiB")

    def case(self, name, description, inputs):
        """Runs the case in float32 for the file and in float64 for the printed difference."""
        expected = run_case(description, inputs)
        self.write(name, description, inputs | expected)
        torch.set_default_dtype(torch.float64)
        wide = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
        precise = run_case(description, wide)
        torch.set_default_dtype(torch.float32)
        worst, where = max(
            (float((expected[k].double() - v.double()).norm() / (v.double().norm() + 1e-12)), k)
            for k, v in precise.items()
        )
        print(f"  float32 against float64: {worst:.1e} of the norm at most ({where})")


def forward_fixtures(writer):
    variants = {
        "forward": ({}, True),
        "forward-legacy": (
            {
                "headOrder": "legacy",
                "normEps": 1e-5,
                "tanh": "none",
                "inputOrder": "image-first",
                "timeEmbedding": {"order": "cos-sin", "divisor": "half"},
            },
            True,
        ),
        "forward-two-blocks": ({"resBlocks": 2, "attention": [4], "tanh": "after"}, True),
        "forward-baseline": ({"middleAttention": False}, False),
    }
    for seed, (name, (model, timed)) in enumerate(variants.items(), start=10):
        torch.manual_seed(seed)
        description = describe("forward", model, timeConditioned=timed)
        inputs = random_weights(description)
        inputs["input.image"] = torch.rand(BATCH, 1, HEIGHT, WIDTH) * 2 - 1
        if timed:
            inputs["input.heatmaps"] = torch.randn(BATCH, LANDMARKS, HEIGHT, WIDTH)
            inputs["input.t"] = torch.tensor([0, 137])
        writer.case(name, description, inputs)


def objective_fixtures(writer):
    for seed, name in enumerate(["x0", "x0-dropped", "x0-legacy", "epsilon", "none"], start=20):
        torch.manual_seed(seed)
        kind = name.split("-")[0]
        legacy = {"headOrder": "legacy"} if name == "x0-legacy" else {}
        description = describe(
            "objective",
            legacy,
            timeConditioned=kind != "none",
            diffusion=DIFFUSION | {"objective": kind},
        )
        inputs = random_weights(description) | random_batch(time_conditioned=kind != "none")
        if name == "x0-dropped":
            inputs["input.dropped"] = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        writer.case(f"objective-{name}", description, inputs)


def training_fixtures(writer):
    # The bias of the keys has no effect, hence a gradient of pure rounding noise, which Adam would
    # turn into full steps: with attention the case takes a larger eps, and the case with the usual
    # eps has no attention.
    # Two levels only: the file holds the weights seven times.
    levels = {"encoderChannels": [8, 16], "decoderChannels": [16, 8]}
    variants = {
        "training": (levels | {"attention": [2]}, {"eps": 1e-4}),
        "training-clipped": (
            levels | {"attention": [], "middleAttention": False},
            {"clipNorm": 0.5, "weightDecay": 0.1},
        ),
    }
    for seed, (name, (model, train)) in enumerate(variants.items(), start=30):
        torch.manual_seed(seed)
        description = describe(
            "training", model, diffusion=DIFFUSION, train=TRAIN | train, steps=3
        )
        writer.case(name, description, random_weights(description) | random_batch(steps=3))


def sampler_fixture(writer):
    torch.manual_seed(40)
    blur_options = {"kernelSize": 13, "sigmaMin": 0.1, "sigmaMax": 14.0, "order": "blur-clamp"}
    base = {
        "steps": 12,
        "objective": "x0",
        "blur": blur_options,
        "posteriorVariance": "beta-tilde",
        "prior": "normal",
    }
    changes = {
        "chain": {"keepStates": True},
        "clamp-blur": {"blur": blur_options | {"order": "clamp-blur"}},
        "no-blur": {"blur": blur_options | {"order": "none"}, "keepStates": True},
        "beta-variance": {"posteriorVariance": "beta"},
        "background-mean": {"prior": "background-mean"},
        "five-steps": {"steps": 5, "keepStates": True},
        "single-step": {"steps": 1},
        "epsilon": {"objective": "epsilon"},
    }
    variants = [{"name": name} | base | change for name, change in changes.items()]
    description = describe(
        "sampler", diffusion=DIFFUSION | {"timesteps": 12, "betaEnd": 0.3}, variants=variants
    )
    inputs = random_weights(description)
    inputs["input.image"] = torch.rand(BATCH, 1, HEIGHT, WIDTH) * 2 - 1
    inputs["input.noise"] = torch.randn(12, BATCH, LANDMARKS, HEIGHT, WIDTH)
    writer.case("sampler", description, inputs)


def blur_fixture(writer):
    torch.manual_seed(45)
    x = torch.randn(1, 2, 20, 18)
    sigmas = [0.1, 1.0, 4.0, 14.0]
    expected = {f"expected.sigma{i}": blur(x, 13, s) for i, s in enumerate(sigmas)}
    writer.write("blur", {"kernelSize": 13, "sigmas": sigmas}, {"input.x": x} | expected)


def layer_fixture(writer):
    """Default initial values as torch.manual_seed(0) gives them, layer after layer, and one use."""
    torch.manual_seed(0)
    layers = {
        "conv2d": nn.Conv2d(3, 6, 3, padding=1),
        "conv2d_stride": nn.Conv2d(4, 4, 3, stride=2, padding=1),
        "conv1d": nn.Conv1d(4, 12, 1),
        "linear": nn.Linear(7, 5),
        "linear_without_bias": nn.Linear(7, 5, bias=False),
        "group_norm": nn.GroupNorm(2, 4, eps=1e-6),
    }
    inputs = {
        "conv2d": torch.randn(2, 3, 9, 8),
        "conv2d_stride": torch.randn(2, 4, 8, 6),
        "conv1d": torch.randn(2, 4, 10),
        "linear": torch.randn(3, 7),
        "linear_without_bias": torch.randn(3, 7),
        "group_norm": torch.randn(2, 4, 5, 3),
    }
    tensors = {}
    for name, layer in layers.items():
        x = inputs[name].requires_grad_(True)
        y = layer(x)
        y.square().sum().backward()
        tensors[f"input.{name}"] = x
        tensors[f"expected.{name}"] = y
        tensors[f"grad.{name}.input"] = x.grad
        for parameter, value in layer.named_parameters():
            tensors[f"weights.{name}.{parameter}"] = value
            tensors[f"grad.{name}.{parameter}"] = value.grad
    torch.manual_seed(0)
    tensors["expected.randn"] = torch.randn(20)
    tensors["expected.dropout"] = nn.functional.dropout(torch.ones(64), 0.3, True)
    tensors["expected.rand"] = torch.rand(20)
    description = {
        "seed": 0,
        "order": list(layers),
        "afterReseed": ["randn(20)", "dropout(ones(64), 0.3)", "rand(20)"],
        "loss": "sum of squares of the output",
    }
    writer.write("layers", description, tensors)

    description = describe("init", seed=0)
    torch.manual_seed(0)
    state = build_model(description).state_dict()
    writer.write("init", description, {f"weights.{k}": v for k, v in state.items()})


def schedule_fixture(writer):
    variants = {
        "paper": DIFFUSION,
        "short": DIFFUSION | {"timesteps": 50},
        "steep": DIFFUSION | {"betaEnd": 0.06},
    }
    tensors = {}
    for name, options in variants.items():
        schedule = build_schedule(options)
        tables = {
            "betas": schedule.betas,
            "alpha_bar": schedule.alpha_bar,
            "posterior_x0": schedule.posterior_x0,
            "posterior_xt": schedule.posterior_xt,
            "posterior_variance": schedule.posterior_variance,
        }
        for table, values in tables.items():
            tensors[f"expected.{name}.{table}"] = torch.from_numpy(values)
        for steps in (1, 2, 7, 10, 25, 50):
            times = torch.tensor(schedule.timesteps_of(steps))
            tensors[f"expected.{name}.timesteps{steps}"] = times
    writer.write("schedule", {"variants": variants}, tensors)


def printing_fixture(writer):
    """What PyTorch prints for tensors of all kinds."""
    torch.manual_seed(60)
    nan, inf = float("nan"), float("inf")
    tensors = {
        "scalar": torch.tensor(2.5),
        "whole": torch.tensor([1.0, -2.0, 30.0]),
        "fractions": torch.randn(2, 3),
        "ties": torch.tensor([0.03125, 0.09375, -0.00625, 2.5, 1e-3]),
        "special": torch.tensor([[nan, inf], [-inf, 1.5]]),
        "only_special": torch.tensor([nan, 0.0, -0.0, inf]),
        "large": torch.tensor([1.0, 123456789.0]),
        "huge": torch.tensor([3e22, 1.5e-30]),
        "small": torch.tensor([1e-5, 2.0]),
        "wide": torch.arange(60.0) / 7,
        "long": torch.arange(2000).reshape(2, 1000),
        "deep": torch.arange(24.0).reshape(2, 3, 1, 4) - 11.5,
        "abridged": torch.arange(3 * 20 * 30.0).reshape(3, 20, 30),
        "empty": torch.zeros(0),
        "empty_matrix": torch.zeros(0, 3),
        "empty_int": torch.zeros(2, 0, dtype=torch.int32),
        "float64": torch.randn(3, dtype=torch.float64),
        "float16": torch.tensor([65504.0, 0.5, 1e-4]).half(),
        "bfloat16": torch.randn(2, 2).bfloat16(),
        "int64": torch.tensor([1, -(2**60), 7]),
        "int8": torch.tensor([[1], [-100]], dtype=torch.int8),
        "uint8": torch.tensor(255, dtype=torch.uint8),
        "bool": torch.tensor([[True, False]]),
        "complex64": torch.tensor([1 + 2j, -0.5 - 1e-3j]),
    }
    options = {
        "fractions": {"precision": 7},
        "wide": {"lineWidth": 50, "sciMode": True},
        "large": {"sciMode": False},
        "long": {"edgeItems": 2, "threshold": 10},
    }
    names = {"lineWidth": "linewidth", "edgeItems": "edgeitems", "sciMode": "sci_mode"}
    cases = [{"name": name, "options": {}, "text": repr(value)} for name, value in tensors.items()]
    for name, chosen in options.items():
        torch.set_printoptions(**{names.get(key, key): value for key, value in chosen.items()})
        cases.append({"name": name, "options": chosen, "text": repr(tensors[name])})
        torch.set_printoptions(profile="default")
    writer.write("printing", {"cases": cases}, tensors)


def pickle_fixtures(writer):
    """torch.save files for the reader, with the values they must give."""
    torch.manual_seed(50)
    grid = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    state = {
        "float32": torch.randn(2, 3),
        "parameter": nn.Parameter(torch.randn(4)),
        "float64": torch.randn(3, dtype=torch.float64),
        "float16": torch.randn(5).half(),
        "bfloat16": torch.randn(5).bfloat16(),
        "int64": torch.tensor([1, -(2**40), 7]),
        "int32": torch.tensor([[1], [-2]], dtype=torch.int32),
        "uint8": torch.tensor([0, 128, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "transposed": grid.t(),
        "view": grid[1:, 2:],
    }
    torch.save(state, writer.folder / "state.pt")
    writer.write("state", {"file": "state.pt"}, state)

    description = describe("init")
    torch.manual_seed(51)
    model = build_model(description)
    checkpoint = {
        "epoch": 3,
        "global_step": 10,
        "pytorch-lightning_version": "2.0.0",
        "state_dict": {f"model.{k}": v for k, v in model.state_dict().items()},
        "hyper_parameters": {"lr": 1e-4, "name": "small", "channels": [8, 16], "flag": True},
    }
    torch.save(checkpoint, writer.folder / "lightning.ckpt")
    description |= {"file": "lightning.ckpt", "prefix": "model.", "epoch": 3, "globalStep": 10}
    writer.write("lightning", description, checkpoint["state_dict"])


def main():
    default = Path(__file__).resolve().parents[2] / "test" / "fixtures"
    writer = Writer(sys.argv[1] if len(sys.argv) > 1 else default)
    torch.set_num_threads(1)
    parameters = count_parameters(UNet(UNetConfig()))
    if parameters != 38_810_835:
        raise SystemExit(f"the paper's network has 38.8 M parameters, this one {parameters}")
    forward_fixtures(writer)
    objective_fixtures(writer)
    training_fixtures(writer)
    sampler_fixture(writer)
    blur_fixture(writer)
    layer_fixture(writer)
    library_fixtures(writer)
    sequence_fixtures(writer)
    schedule_fixture(writer)
    pickle_fixtures(writer)
    printing_fixture(writer)


if __name__ == "__main__":
    main()
