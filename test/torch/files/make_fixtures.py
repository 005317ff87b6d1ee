"""Makes the hostile and odd PyTorch files beside this script, with PyTorch itself: python3 make_fixtures.py"""

import argparse
import os
from collections import Counter, OrderedDict
from pathlib import Path

import torch

HERE = Path(__file__).parent / "fixtures"


class Attack:
    """What an attacker puts into a checkpoint: loading it in Python would run a command."""

    def __reduce__(self):
        return os.system, ("touch attacked",)


def main():
    HERE.mkdir(exist_ok=True)
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    torch.save({"weight": torch.ones(2), "attack": Attack()}, HERE / "os-system.pt")
    torch.save({"weight": torch.ones(2)}, HERE / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save({"state_dict": {"w": torch.ones(2)}, "hyper_parameters": argparse.Namespace(lr=0.1)}, HERE / "namespace.ckpt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), HERE / "torchscript.pt")
    views = {
        "permuted": base.permute(2, 0, 1),
        "stepped": base[:, ::2, 1::2],
        "expanded": base[0, 0, :1].expand(3, 1),
        "first": base[0],
        "second": base[1],
    }
    torch.save(views, HERE / "views.pt")
    plain = OrderedDict(
        integers=[0, 255, 65535, -1, 2**31 - 1, -(2**31), 2**40, -(2**40), 2**80, -(2**80)],
        floats=[0.5, -1e300, float("inf")],
        texts=["", "ä€𝄞", "x" * 300],
        nothing=None,
        flags=(True, False),
        data=b"\x00\xff" * 150,
        unique={3},
        size=torch.Size([2, 3]),
        dtype=torch.bfloat16,
        device=torch.device("cuda", 1),
        counts=Counter({"a": 2}),
        state={0: {"step": torch.tensor(3.0)}},
        complex=torch.tensor([1 + 2j]),
        parameter=torch.nn.Parameter(torch.ones(1)),
    )
    for protocol in (2, 3, 4, 5):
        torch.save(plain, HERE / f"plain-{protocol}.pt", pickle_protocol=protocol)


if __name__ == "__main__":
    main()
