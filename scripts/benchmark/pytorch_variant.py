"""One PyTorch variant of pytorch.mjs: takes commands from stdin, one JSON a line, and answers each with one.

python pytorch_variant.py FOLDER, where FOLDER holds case.json and case.safetensors. The network is that of
scripts/reference, run as a user would write it, with PyTorch's fused AdamW. The reference's likelihood is in
float64, for exactness; here it is in float32, as on the other side.

{"run": n}: n repetitions -> their milliseconds; {"check": true}: the output to compare; {"usage": true}.
"""

import json
import pathlib
import resource
import sys
import time

started = time.perf_counter()

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

imported = time.perf_counter() - started

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reference"))
import diffusion  # noqa: E402
from diffusion import NoiseSchedule, Objective  # noqa: E402
from unet import UNet, UNetConfig  # noqa: E402


def spatial_nll(logits, target, mask):
    """The reference's spatial_nll in float32."""
    log_p = logits.flatten(2).log_softmax(2)
    picked = log_p.gather(2, target.clamp(min=0)[:, :, None]).squeeze(2)
    return -(picked * mask).sum() / mask.sum().clamp(min=1)


class Case:
    """Weights, inputs and what is to be repeated, as case.json describes it."""

    def __init__(self, folder):
        self.folder = folder
        options = json.loads((folder / "case.json").read_text())
        tensors = load_file(folder / "case.safetensors")
        torch.set_num_threads(options["threads"])
        network = {name: tuple(v) if isinstance(v, list) else v for name, v in options["network"].items()}
        self.model = UNet(UNetConfig(**network))
        prefix = "weights."
        self.model.load_state_dict(
            {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
        )
        self.inputs = {name: t for name, t in tensors.items() if not name.startswith(prefix)}
        variant = options["variant"]
        if variant["layout"] == "channels_last":
            self.model = self.model.to(memory_format=torch.channels_last)
            for name, tensor in self.inputs.items():
                if tensor.dim() == 4:
                    self.inputs[name] = tensor.contiguous(memory_format=torch.channels_last)
        self.steps = options.get("steps", 1)
        if options["kind"] == "step":
            self.objective = Objective("x0", NoiseSchedule(timesteps=200))
            self.optimizer = torch.optim.AdamW(
                self.model.parameters(), lr=options["lr"], weight_decay=1e-4, fused=True
            )
            self.run = self.step
        else:
            self.model.eval()
            self.run = self.forward
        if variant["compile"] is not None:
            self.network = torch.compile(self.model, mode=variant["compile"])
        else:
            self.network = self.model

    def forward(self):
        with torch.no_grad():
            for _ in range(self.steps):
                y = self.network(self.inputs["x"], self.inputs["t"])
        return y

    def step(self):
        batch = {name: self.inputs[name] for name in ("image", "target", "mask")}
        self.optimizer.zero_grad(set_to_none=True)
        total, _, _ = self.objective(
            Joined(self.model, self.network), batch, t=self.inputs["t"], noise=self.inputs["noise"]
        )
        total.backward()
        self.optimizer.step()
        return total.detach()

    def answer(self, command):
        if "check" in command:
            begin = time.perf_counter()
            result = self.run().float().contiguous().reshape(-1)
            seconds = time.perf_counter() - begin
            save_file({"result": result}, str(self.folder / "theirs.safetensors"))
            return {"torch": torch.__version__, "first": seconds, "import": imported}
        if "usage" in command:
            usage = resource.getrusage(resource.RUSAGE_SELF)
            return {"peakMiB": usage.ru_maxrss / 1024, "faults": usage.ru_minflt}
        times = []
        before = resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(command["run"]):
            begin = time.perf_counter()
            result = self.run()
            if result.dim() == 0:
                result.item()
            times.append(1000 * (time.perf_counter() - begin))
        after = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "times": times,
            "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "faults": after.ru_minflt - before.ru_minflt,
        }


class Joined:
    """The compiled network under the interface that the objective asks for."""

    def __init__(self, model, network):
        self.model = model
        self.network = network
        self.join = model.join
        self.config = model.config

    def __call__(self, x, t=None):
        return self.network(x, t)


def main():
    case = Case(pathlib.Path(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(case.answer(json.loads(line))), flush=True)


main()
