"""The PyTorch side of train-step.mjs: reads numbers of steps from stdin, answers with their times.

python train_step.py FOLDER, where FOLDER holds step.json and step.safetensors. The network is that of
scripts/reference, run as a user would write it; AdamW is PyTorch's fused one, as on the other side. The
reference's likelihood is in float64, for exactness; here it is in float32, as on the other side.
"""

import json
import pathlib
import sys
import time

import torch
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reference"))
import diffusion  # noqa: E402
from diffusion import NoiseSchedule, Objective  # noqa: E402
from unet import UNet, UNetConfig  # noqa: E402


def spatial_nll(logits, target, mask):
    """The reference's spatial_nll in float32."""
    log_p = logits.flatten(2).log_softmax(2)
    picked = log_p.gather(2, target.clamp(min=0)[:, :, None]).squeeze(2)
    return -(picked * mask).sum() / mask.sum().clamp(min=1)


def main():
    diffusion.spatial_nll = spatial_nll
    folder = pathlib.Path(sys.argv[1])
    options = json.loads((folder / "step.json").read_text())
    tensors = load_file(folder / "step.safetensors")
    torch.set_num_threads(options["threads"])
    config = UNetConfig(
        landmarks=options["landmarks"], attention=tuple(options["attention"]), dropout=0.0
    )
    model = UNet(config)
    prefix = "weights."
    model.load_state_dict(
        {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
    )
    objective = Objective("x0", NoiseSchedule(timesteps=200))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=options["lr"], weight_decay=1e-4, fused=True
    )
    batch = {name: tensors[name] for name in ("image", "target", "mask")}
    for line in sys.stdin:
        times, loss = [], None
        for _ in range(int(line)):
            start = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            total, _, _ = objective(model, batch, t=tensors["t"], noise=tensors["noise"])
            total.backward()
            optimizer.step()
            loss = total.item()
            times.append(1000 * (time.perf_counter() - start))
        print(json.dumps({"torch": torch.__version__, "loss": loss, "times": times}), flush=True)


main()
