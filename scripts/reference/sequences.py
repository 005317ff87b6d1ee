"""Recurrent layers and cells, the transformer, and attention over other widths: fixtures for lib/nn.

A case is a class, our constructor's arguments, and the shapes of forward's inputs; a list of shapes is a tuple of
states. All results count, flattened in order.
"""

import torch
from torch import nn

from layers import case, split

SEQUENCE = [5, 3, 4]
LAYERS = [
    case("RNN", 4, 6, inputs=[SEQUENCE]),
    case("RNN", 4, 6, 2, "relu", False, True, inputs=[SEQUENCE, [2, 5, 6]]),
    case("GRU", 4, 6, {"numLayers": 2, "bidirectional": True}, inputs=[SEQUENCE, [4, 3, 6]]),
    case("GRU", 4, 6, {"batchFirst": True, "bias": False}, inputs=[[5, 4]]),
    case("LSTM", 4, 6, {"numLayers": 2, "dropout": 0.4, "batchFirst": True}, inputs=[SEQUENCE], seeded=True),
    case("LSTM", 4, 6, {"projSize": 3, "bidirectional": True}, inputs=[SEQUENCE, [[2, 3, 3], [2, 3, 6]]]),
    case("LSTM", 4, 6, inputs=[[5, 4], [[1, 6], [1, 6]]]),
    case("RNNCell", 4, 6, inputs=[[3, 4]]),
    case("RNNCell", 4, 6, {"nonlinearity": "relu", "bias": False}, inputs=[[4], [6]]),
    case("GRUCell", 4, 6, inputs=[[3, 4], [3, 6]]),
    case("LSTMCell", 4, 6, inputs=[[3, 4], [[3, 6], [3, 6]]]),
    case("LSTMCell", 4, 6, {"bias": False}, inputs=[[4]]),
    case("Transformer", {"dModel": 8, "nhead": 2, "numEncoderLayers": 2, "numDecoderLayers": 3, "dimFeedforward": 12, "dropout": 0},
         inputs=[[5, 2, 8], [3, 2, 8]],
         python=[{"d_model": 8, "nhead": 2, "num_encoder_layers": 2, "num_decoder_layers": 3, "dim_feedforward": 12,
                  "dropout": 0.0}]),
    case("Transformer", 8, 4, 1, 1, 12, 0, {"normFirst": True, "batchFirst": True, "activation": "gelu", "bias": False},
         inputs=[[2, 5, 8], [2, 3, 8]],
         python=[8, 4, 1, 1, 12, 0.0, {"norm_first": True, "batch_first": True, "activation": "gelu", "bias": False}]),
    case("MultiheadAttention", 8, 2, {"kdim": 5, "vdim": 7}, inputs=[[4, 2, 8], [3, 2, 5], [3, 2, 7]],
         python=[8, 2, {"kdim": 5, "vdim": 7}]),
    case("MultiheadAttention", 8, 2, {"kdim": 5, "bias": False, "batchFirst": True}, inputs=[[2, 4, 8], [2, 3, 5], [2, 3, 8]],
         python=[8, 2, {"kdim": 5, "bias": False, "batch_first": True}]),
]


def flat(values):
    if isinstance(values, torch.Tensor):
        return [values]
    return [tensor for value in values if value is not None for tensor in flat(value)]


def draw(shape):
    return tuple(draw(each) for each in shape) if isinstance(shape[0], list) else torch.randn(shape).requires_grad_()


def run(index, description, tensors):
    torch.manual_seed(3000 + index)
    inputs = [draw(shape) for shape in description["inputs"]]
    torch.manual_seed(index)
    args, options = split(description["args"] if description["python"] is None else description["python"])
    layer = getattr(nn, description["layer"])(*args, **options)
    for name, value in layer.state_dict().items():
        tensors[f"{index}.weights.{name}"] = value.clone()
    if description.get("seeded"):
        torch.manual_seed(7)
    # Our attention gives its weights only when asked.
    more = {"need_weights": False} if description["layer"] == "MultiheadAttention" else {}
    results = flat(layer(*inputs, **more))
    sum(result.pow(3).sum() for result in results).backward()
    for i, x in enumerate(flat(inputs)):
        tensors[f"{index}.input.{i}"] = x.detach().clone()
        tensors[f"{index}.grad.{i}"] = x.grad
    for i, result in enumerate(results):
        tensors[f"{index}.expected.{i}"] = result.detach().clone()
    for name, value in layer.named_parameters():
        tensors[f"{index}.grad.{name}"] = value.grad
    layer.eval()
    for i, result in enumerate(flat(layer(*inputs, **more))):
        tensors[f"{index}.eval.{i}"] = result.detach().clone()
    return list(layer.state_dict())


def sequence_fixtures(writer):
    tensors = {}
    names = [run(index, entry, tensors) for index, entry in enumerate(LAYERS)]
    keys = ("layer", "args", "inputs", "seeded")
    described = [{key: entry[key] for key in keys if key in entry} | {"state": state} for entry, state in zip(LAYERS, names)]
    writer.write("sequences", {"cases": described}, tensors)
