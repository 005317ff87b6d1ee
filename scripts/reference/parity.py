"""Answers one parity question from the package's tests with this reference.

usage: python parity.py CASE.json INPUT.safetensors OUTPUT.safetensors

CASE.json and the tensor names are those of the fixtures (see cases.py). With --init the case's
network is built after torch.manual_seed(case['seed']) and its initial weights are written instead.
"""

import argparse
import json

import torch
from safetensors.torch import load_file, save_file

from cases import build_model, run_case
from unet import count_parameters


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case")
    parser.add_argument("input", nargs="?", help="absent with --init")
    parser.add_argument("output")
    parser.add_argument("--init", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with open(arguments.case, encoding="utf-8") as file:
        case = json.load(file)
    if arguments.init:
        torch.manual_seed(case["seed"])
        model = build_model(case)
        answer = {f"weights.{name}": value for name, value in model.state_dict().items()}
        print(f"{count_parameters(model)} parameters")
    else:
        answer = run_case(case, load_file(arguments.input))
    save_file(answer, arguments.output)


if __name__ == "__main__":
    main()
