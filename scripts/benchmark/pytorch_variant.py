"""One PyTorch variant of pytorch.mjs: takes commands from stdin, one JSON a line, and answers each with one.

python pytorch_variant.py FOLDER, where FOLDER holds case.json. The network is that of scripts/reference, run as a user
would write it, with PyTorch's fused AdamW. The reference's likelihood is in float64, for exactness; here it is in float32,
as on the other side. The commands are those of ours.js.
"""

import json
import pathlib
import resource
import sys
import time

started = time.perf_counter()

import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

imported = time.perf_counter() - started

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parent / "reference"))
import diffusion  # noqa: E402
from cases import build_objective, build_schedule  # noqa: E402
from pytorch_epoch import Epoch  # noqa: E402
from unet import UNet, UNetConfig  # noqa: E402


def spatial_nll(logits, target, mask):
    """The reference's spatial_nll in float32."""
    log_p = logits.float().flatten(2).log_softmax(2)
    picked = log_p.gather(2, target.clamp(min=0)[:, :, None]).squeeze(2)
    return -(picked * mask).sum() / mask.sum().clamp(min=1)


diffusion.spatial_nll = spatial_nll


class Network:
    """The network, compiled or not, under the interface that objective and sampler ask for."""

    def __init__(self, model, mode):
        self.model = model
        self.join = model.join
        self.config = model.config
        self.call = model if mode is None else torch.compile(model, mode=mode)

    def __call__(self, x, t=None):
        return self.call(x, t)


class Case:
    """Weights, inputs and what is to be repeated, as case.json describes it."""

    def __init__(self, folder):
        self.folder = folder
        options = json.loads((folder / "case.json").read_text())
        torch.set_num_threads(options["threads"])
        config, variant = options["config"], options["variant"]
        tensors = load_file(options["tensors"])
        model = UNet(
            UNetConfig.from_json(
                config["model"], landmarks=options["landmarks"], time_conditioned=True
            )
        )
        prefix = "weights."
        model.load_state_dict(
            {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
        )
        self.inputs = {name: t for name, t in tensors.items() if not name.startswith(prefix)}
        if variant["layout"] == "channels_last":
            model = model.to(memory_format=torch.channels_last)
            for name, tensor in self.inputs.items():
                if tensor.dim() == 4:
                    self.inputs[name] = tensor.contiguous(memory_format=torch.channels_last)
        self.model = model
        whole = variant.get("wholeLoss", False)
        self.network = Network(model, None if whole else variant["compile"])
        train = config["train"]
        self.autocast = train["precision"] == "bfloat16"
        kind = options["kind"]
        if kind in ("step", "epoch"):
            self.objective = build_objective(config["diffusion"])
            if whole:
                self.objective = torch.compile(self.objective.__call__, mode=variant["compile"])
            self.optimizer = torch.optim.AdamW(
                model.parameters(), lr=train["lr"], weight_decay=train["weightDecay"], fused=True
            )
        else:
            model.eval()
        if kind == "epoch":
            self.epoch_of_images = Epoch(
                self.inputs, config, self.network, self.objective, self.optimizer
            )
        if kind == "chain":
            sampling = config["sampling"]
            blur = sampling["blur"]
            self.sampler = diffusion.Sampler(
                build_schedule(config["diffusion"]),
                steps=sampling["steps"],
                kernel_size=blur["kernelSize"],
                sigma_min=blur["sigmaMin"],
                sigma_max=blur["sigmaMax"],
                blur_order=blur["order"],
            )
        self.run = {
            "forward": self.forward,
            "chain": self.chain,
            "step": self.step,
            "epoch": self.epoch,
        }[kind]
        self.result = {}

    def precision(self):
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast)

    def forward(self):
        with torch.no_grad(), self.precision():
            self.result = {"output": [self.network(self.inputs["x"], self.inputs["t"])]}

    def chain(self):
        sample = self.sampler.sample(self.network, self.inputs["image"], self.inputs["noise"])
        self.result = {"logits": [sample["logits"]]}

    def step(self):
        batch = {name: self.inputs[name] for name in ("image", "target", "mask")}
        self.optimizer.zero_grad(set_to_none=True)
        with self.precision():
            total, _, _ = self.objective(
                self.network, batch, t=self.inputs["t"], noise=self.inputs["noise"]
            )
        total.backward()
        self.optimizer.step()
        total.item()
        self.result = {"loss": [total.detach()]}

    def epoch(self):
        self.result = {"loss": [torch.tensor(self.epoch_of_images.run())]}

    def state(self):
        """The weights, and AdamW's first moments: after one step a tenth of the gradients."""
        parameters = [p for _, p in sorted(self.model.named_parameters())]
        moments = [self.optimizer.state[p]["exp_avg"] for p in parameters]
        return {"weights": [p.detach() for p in parameters], "moments": moments}

    def check(self):
        begin = time.perf_counter()
        self.run()
        seconds = time.perf_counter() - begin
        result = self.result
        if self.run == self.step:
            result = result | self.state()
        with (self.folder / "result").open("wb") as file:
            for tensors in result.values():
                for tensor in tensors:
                    tensor.float().contiguous().numpy().tofile(file)
        parts = {name: sum(t.numel() for t in tensors) for name, tensors in result.items()}
        forget_peak()
        return {"torch": torch.__version__, "first": seconds, "import": imported, "parts": parts}

    def answer(self, command):
        if "check" in command:
            return self.check()
        if "usage" in command:
            return {"peakMiB": peak_mib()}
        self.run()
        times = []
        before = resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(command["run"]):
            begin = time.perf_counter()
            self.run()
            times.append(1000 * (time.perf_counter() - begin))
        after = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "times": times,
            "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "faults": after.ru_minflt - before.ru_minflt,
        }


def forget_peak():
    """On Linux the peak counts anew from the memory of now; elsewhere it stays that since the start."""
    if sys.platform == "linux":
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak_mib():
    """Resident memory at its peak."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main():
    case = Case(pathlib.Path(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(case.answer(json.loads(line))), flush=True)


main()
