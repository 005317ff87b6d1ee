"""Runs one parity case: a description and named tensors in, the expected tensors out.

make_fixtures.py commits what these functions return; parity.py answers live questions with them.
Tensor names: `weights.<parameter>`, `input.<name>` in; `expected.<name>`, `grad.<parameter>` out.
"""

import torch

from diffusion import NoiseSchedule, Objective, Sampler
from training import Ema, adamw, training_step
from unet import UNet, UNetConfig, time_encoding


def build_model(case):
    """case: {model, landmarks, imageChannels, timeConditioned} -> UNet in evaluation mode."""
    config = UNetConfig.from_json(
        case["model"],
        landmarks=case["landmarks"],
        image_channels=case["imageChannels"],
        time_conditioned=case["timeConditioned"],
    )
    return UNet(config).eval()


def build_schedule(diffusion):
    return NoiseSchedule(
        diffusion["timesteps"],
        diffusion["betaStart"],
        diffusion["betaEnd"],
        diffusion["schedule"],
    )


def build_objective(diffusion):
    kind = diffusion["objective"]
    schedule = None if kind == "none" else build_schedule(diffusion)
    return Objective(kind, schedule, diffusion["nllWeight"], diffusion["mseWeight"])


def given_model(case, tensors):
    """The case's network with the given weights; every parameter must be there."""
    model = build_model(case)
    prefix = "weights."
    state = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
    model.load_state_dict(state, strict=True)
    return model


def select(tensors, step=None):
    """`input.*` as a dictionary, or the slice of each for one training step."""
    values = {k[len("input.") :]: v for k, v in tensors.items() if k.startswith("input.")}
    return values if step is None else {k: v[step] for k, v in values.items()}


def split_batch(values):
    """input.* -> the batch and the given random draws (t, noise, dropped)."""
    batch = {k: values[k] for k in ("image", "target", "mask")}
    return batch, {k: values[k] for k in ("t", "noise", "dropped") if k in values}


def forward_case(case, tensors):
    """input.image, input.heatmaps, input.t -> expected.output (and the time encoding)."""
    model = given_model(case, tensors)
    values = select(tensors)
    with torch.no_grad():
        output = model(model.join(values["image"], values.get("heatmaps")), values.get("t"))
    expected = {"expected.output": output}
    if case["timeConditioned"]:
        config = model.config
        expected["expected.time_encoding"] = time_encoding(
            values["t"],
            config.encoder_channels[0],
            order=config.time_order,
            divisor=config.time_divisor,
        )
    return expected


def objective_case(case, tensors):
    """input.{image, target, mask, t, noise[, dropped]} -> expected.{loss, nll, mse}, grad.*."""
    model = given_model(case, tensors)
    batch, given = split_batch(select(tensors))
    loss, nll, mse = build_objective(case["diffusion"])(model, batch, **given)
    loss.backward()
    expected = {"expected.loss": loss, "expected.nll": nll, "expected.mse": mse}
    return expected | {f"grad.{name}": p.grad for name, p in model.named_parameters()}


def training_case(case, tensors):
    """input.* stacked over steps -> the weights and their average after every step."""
    model = given_model(case, tensors)
    settings = case["train"]
    optimizer = adamw(
        model, settings["lr"], settings["weightDecay"], settings["betas"], settings["eps"]
    )
    ema = Ema(model, settings["ema"]["decay"])
    objective = build_objective(case["diffusion"])
    expected, losses, norms = {}, [], []
    for step in range(case["steps"]):
        batch, given = split_batch(select(tensors, step))
        loss, _, _, norm = training_step(
            model,
            objective,
            optimizer,
            batch,
            ema=ema,
            clip_norm=settings["clipNorm"],
            **given,
        )
        losses.append(loss)
        norms.append(norm)
        for name, value in model.state_dict().items():
            expected[f"expected.step{step + 1}.{name}"] = value.clone()
        for name, value in ema.model.state_dict().items():
            expected[f"expected.ema{step + 1}.{name}"] = value.clone()
    expected["expected.loss"] = torch.stack(losses)
    if settings["clipNorm"] is not None:
        expected["expected.norm"] = torch.stack(norms)
    return expected


def sampler_case(case, tensors):
    """input.image, input.noise [steps, B, N, H, W] -> expected.<variant>.logits for all variants.

    A variant with `keepStates` also gets expected.<variant>.states [steps, B, N, H, W], the x_t.
    """
    model = given_model(case, tensors)
    schedule = build_schedule(case["diffusion"])
    image, noise = tensors["input.image"], tensors["input.noise"]
    expected = {}
    for variant in case["variants"]:
        blur = variant["blur"]
        sampler = Sampler(
            schedule,
            steps=variant["steps"],
            kind=variant["objective"],
            kernel_size=blur["kernelSize"],
            sigma_min=blur["sigmaMin"],
            sigma_max=blur["sigmaMax"],
            blur_order=blur["order"],
            posterior_variance=variant["posteriorVariance"],
            prior=variant["prior"],
        )
        result = sampler.sample(model, image, list(noise[: variant["steps"]]))
        expected[f"expected.{variant['name']}.logits"] = result["logits"]
        if variant.get("keepStates"):
            expected[f"expected.{variant['name']}.states"] = torch.stack(result["states"])
    return expected


RUNNERS = {
    "forward": forward_case,
    "objective": objective_case,
    "training": training_case,
    "sampler": sampler_case,
}


def run_case(case, tensors):
    """case['kind'] decides; returns contiguous, detached tensors ready for safetensors."""
    expected = RUNNERS[case["kind"]](case, tensors)
    return {name: value.detach().contiguous() for name, value in expected.items()}
