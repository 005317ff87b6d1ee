"""The PyTorch side of tiny-step.mjs: reads numbers of steps from stdin, answers with the time of one in microseconds.

python tiny_step.py FILE, a .pt file with the weights, x and y. Written as a user would write it, with
PyTorch's fused AdamW, as on the other side.
"""

import json
import sys
import time

import torch

tensors = torch.load(sys.argv[1])
torch.set_num_threads(1)
model = torch.nn.Sequential(
    torch.nn.Conv2d(4, 8, 3, padding=1),
    torch.nn.GroupNorm(2, 8),
    torch.nn.SiLU(),
    torch.nn.Conv2d(8, 4, 3, padding=1),
)
model.load_state_dict({k[len("w.") :]: v for k, v in tensors.items() if k.startswith("w.")})
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
x, y = tensors["x"], tensors["y"]
for line in sys.stdin:
    steps, loss = int(line), None
    start = time.perf_counter()
    for _ in range(steps):
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    microseconds = 1e6 * (time.perf_counter() - start) / max(steps, 1)
    value = None if loss is None else loss.item()
    print(json.dumps({"torch": torch.__version__, "us": microseconds, "loss": value}), flush=True)
