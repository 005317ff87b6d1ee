"""The PyTorch side of measure.mjs: one question (JSON) a line on stdin, one answer a line on stdout.

python step.py FOLDER, where FOLDER holds step.json and step.safetensors. The network is that of scripts/reference, run
as a user would who wants it fast: channels_last, cudnn.benchmark, TF32, fused AdamW, cuDNN attention where there is
one, with and without torch.compile. Safetensors files are read here without a package.
"""

import json
import pathlib
import struct
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "reference"))
import diffusion  # noqa: E402
from diffusion import NoiseSchedule, Objective  # noqa: E402
from unet import UNet, UNetConfig  # noqa: E402

DTYPES = {"F32": torch.float32, "I64": torch.int64}


def load(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        part = bytearray(data[begin:end])
        tensors[name] = torch.frombuffer(part, dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def spatial_nll(logits, target, mask):
    """The reference's spatial_nll in float32."""
    log_p = logits.flatten(2).float().log_softmax(2)
    picked = log_p.gather(2, target.clamp(min=0)[:, :, None]).squeeze(2)
    return -(picked * mask).sum() / mask.sum().clamp(min=1)


class Side:
    def __init__(self, folder):
        self.options = json.loads((folder / "step.json").read_text())
        self.device = torch.device(self.options["device"])
        self.tensors = {name: t.to(self.device) for name, t in load(folder / "step.safetensors").items()}

    def build(self, mode, precision):
        keys = ("encoder_channels", "decoder_channels", "res_blocks", "middle_attention")
        names = ("encoderChannels", "decoderChannels", "resBlocks", "middleAttention")
        given = {k: self.options[n] for k, n in zip(keys, names) if n in self.options}
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        config = UNetConfig(landmarks=19, attention=tuple(self.options["attention"]), dropout=0.0, **given)
        model = UNet(config)
        prefix = "weights."
        model.load_state_dict({n[len(prefix) :]: t.cpu() for n, t in self.tensors.items() if n.startswith(prefix)})
        model = model.to(self.device, memory_format=torch.channels_last)
        if precision == "bfloat16":
            model = model.bfloat16()
            # The noised heatmaps are float32, as the tables of the schedule are.
            model.register_forward_pre_hook(lambda _, inputs: (inputs[0].bfloat16(), *inputs[1:]))
        optimizer = torch.optim.AdamW(model.parameters(), lr=self.options["lr"], weight_decay=1e-4, fused=True)
        objective = Objective("x0", NoiseSchedule(timesteps=200))
        batch = {name: self.tensors[name] for name in ("image", "target", "mask")}
        noise = self.tensors["noise"]
        if precision == "bfloat16":
            batch["image"], noise = batch["image"].bfloat16(), noise.bfloat16()
        compiled = model
        if mode.startswith("compile"):
            compiled = torch.compile(model, mode="reduce-overhead" if "graphs" in mode else "default")

        def loss():
            with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "amp"):
                return objective(compiled, batch, t=self.tensors["t"], noise=noise)[0]

        def step():
            optimizer.zero_grad(set_to_none=True)
            loss().backward()
            optimizer.step()

        @torch.no_grad()
        def forward():
            with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "amp"):
                compiled(torch.cat([noise, batch["image"]], 1), self.tensors["t"])

        return loss, {"step": step, "forward": forward}

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def prepare(self, mode, precision):
        """Builds the network, and calls both works until nothing is compiled or captured any more."""
        begun = time.perf_counter()
        self.works = None  # its memory is free for the next
        _, self.works = self.build(mode, precision)
        for work in self.works.values():
            for _ in range(5):
                work()
        self.wait()
        return {"seconds": time.perf_counter() - begun}

    def timed(self, work, calls):
        """Milliseconds a call, of `calls` calls between two waits."""
        self.wait()
        begun = time.perf_counter()
        for _ in range(calls):
            work()
        self.wait()
        return 1000 * (time.perf_counter() - begun) / calls

    def answer(self, question):
        if question.get("loss"):
            loss, _ = self.build("eager", "float32")
            return {"loss": loss().item()}
        if "build" in question:
            return self.prepare(**question["build"])
        return {"ms": self.timed(self.works[question["time"]], question["calls"])}


def main():
    diffusion.spatial_nll = spatial_nll
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cuda.matmul.allow_tf32 = True
    side = Side(pathlib.Path(sys.argv[1]))
    for line in sys.stdin:
        try:
            answer = side.answer(json.loads(line))
        except Exception as error:  # a mode that PyTorch cannot do is a result, not the end
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps({"torch": torch.__version__} | answer), flush=True)


main()
