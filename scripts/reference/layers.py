"""The layers, losses, initial values and optimisers of torch.nn and torch.optim as fixtures for lib/nn and lib/optim.

A case names a class, the arguments of our constructor (the last one may be an object of options), and the
shapes of its inputs; `python` names PyTorch's arguments where they are not the same in snake case.
"""

import re

import torch
from torch import nn


def case(layer, *args, inputs, python=None, **more):
    return {"layer": layer, "args": list(args), "inputs": inputs, "python": python} | more


IMAGE = [[2, 4, 6, 5]]
SIGNAL = [[2, 4, 9]]
VOLUME = [[1, 2, 4, 5, 3]]
ROWS = [[3, 8]]
PAIR = [[3, 5], [3, 5]]

LAYERS = [
    case("Conv1d", 4, 6, 3, {"padding": "same", "dilation": 2}, inputs=SIGNAL),
    case("Conv2d", 4, 6, [3, 2], {"stride": [2, 1], "padding": [1, 0], "groups": 2}, inputs=IMAGE),
    case("Conv2d", 4, 4, 3, {"padding": 1, "paddingMode": "reflect", "bias": False}, inputs=IMAGE),
    case("Conv2d", 4, 4, [2, 3], {"padding": "same", "paddingMode": "circular"}, inputs=IMAGE),
    case("Conv2d", 4, 6, 3, 2, 1, inputs=IMAGE),
    case("Conv3d", 2, 3, 2, {"padding": 1}, inputs=VOLUME),
    case("ConvTranspose1d", 4, 6, 3, {"stride": 2, "outputPadding": 1, "groups": 2}, inputs=SIGNAL),
    case("ConvTranspose2d", 4, 3, [3, 2], {"stride": 2, "padding": 1, "dilation": [1, 2]}, inputs=IMAGE),
    case("ConvTranspose2d", 4, 6, 3, 2, 1, 1, 2, inputs=IMAGE),
    case("ConvTranspose3d", 2, 3, 2, {"stride": [1, 2, 1], "bias": False}, inputs=VOLUME),
    case("Bilinear", 5, 5, 4, inputs=PAIR),
    case("Embedding", 7, 3, {"paddingIdx": 2}, inputs=[], indices=[[1, 2, 6], [2, 0, 1]]),
    case("Embedding", 7, 3, {"maxNorm": 0.5, "normType": 1, "scaleGradByFreq": True}, inputs=[], indices=[[1, 2, 6], [2, 0, 1]]),
    case("EmbeddingBag", 7, 3, {"mode": "mean"}, inputs=[], indices=[[1, 2, 6], [2, 0, 1]]),
    case("EmbeddingBag", 7, 3, {"mode": "max", "paddingIdx": -1}, inputs=[], indices=[[1, 2, 6], [2, 0, 1]]),
    case("GroupNorm", 2, 4, {"affine": False}, inputs=IMAGE),
    case("LayerNorm", [6, 5], inputs=IMAGE),
    case("LayerNorm", 8, {"bias": False, "eps": 1e-3}, inputs=ROWS),
    case("LayerNorm", 8, 1e-3, False, inputs=ROWS),
    case("RMSNorm", 8, inputs=ROWS),
    case("RMSNorm", [6, 5], {"eps": 1e-3, "elementwiseAffine": False}, inputs=IMAGE),
    case("LocalResponseNorm", 3, {"alpha": 0.1, "k": 2}, inputs=IMAGE),
    case("BatchNorm1d", 8, inputs=ROWS, steps=2),
    case("BatchNorm1d", 4, {"momentum": 0.3}, inputs=SIGNAL, steps=2),
    case("BatchNorm2d", 4, inputs=IMAGE, steps=2),
    case("BatchNorm2d", 4, {"trackRunningStats": False}, inputs=IMAGE),
    case("BatchNorm3d", 2, {"affine": False}, inputs=VOLUME, steps=2),
    case("InstanceNorm1d", 4, inputs=SIGNAL),
    case("InstanceNorm2d", 4, {"affine": True, "trackRunningStats": True}, inputs=IMAGE, steps=2),
    case("InstanceNorm3d", 2, inputs=VOLUME),
    case("ReLU", inputs=ROWS),
    case("ReLU6", inputs=ROWS),
    case("LeakyReLU", 0.2, inputs=ROWS),
    case("PReLU", inputs=ROWS),
    case("PReLU", 4, {"init": 0.1}, inputs=IMAGE),
    case("RReLU", 0.1, 0.3, inputs=ROWS, seeded=True),
    case("ELU", 0.7, inputs=ROWS),
    case("SELU", inputs=ROWS),
    case("CELU", 0.7, inputs=ROWS),
    case("GELU", inputs=ROWS),
    case("GELU", {"approximate": "tanh"}, inputs=ROWS),
    case("SiLU", inputs=ROWS),
    case("Mish", inputs=ROWS),
    case("Tanh", inputs=ROWS),
    case("Tanhshrink", inputs=ROWS),
    case("Hardtanh", -0.5, 0.7, inputs=ROWS),
    case("Sigmoid", inputs=ROWS),
    case("LogSigmoid", inputs=ROWS),
    case("Hardsigmoid", inputs=ROWS),
    case("Hardswish", inputs=ROWS),
    case("Softplus", {"beta": 2}, inputs=ROWS),
    case("Softsign", inputs=ROWS),
    case("Softshrink", 0.3, inputs=ROWS),
    case("Hardshrink", 0.3, inputs=ROWS),
    case("Threshold", 0.1, -2, inputs=ROWS),
    case("GLU", 1, inputs=ROWS),
    case("Softmax", 1, inputs=IMAGE),
    case("Softmax2d", inputs=IMAGE),
    case("LogSoftmax", -1, inputs=ROWS),
    case("Softmin", 1, inputs=ROWS),
    case("Dropout", 0.3, inputs=ROWS, seeded=True),
    case("Dropout1d", 0.4, inputs=SIGNAL, seeded=True),
    case("Dropout2d", 0.4, inputs=IMAGE, seeded=True),
    case("Dropout3d", 0.4, inputs=VOLUME, seeded=True),
    case("AlphaDropout", 0.3, inputs=ROWS, seeded=True),
    case("FeatureAlphaDropout", 0.4, inputs=IMAGE, seeded=True),
    case("CosineSimilarity", {"dim": -1}, inputs=PAIR),
    case("PairwiseDistance", 3, {"keepdim": True}, inputs=PAIR),
    case("MaxPool2d", 2, 1, inputs=IMAGE),
    case("AvgPool2d", 2, {"divisorOverride": 3}, inputs=IMAGE),
    case("FractionalMaxPool2d", 2, {"outputSize": [3, 2]}, inputs=IMAGE, seeded=True),
    case("FractionalMaxPool3d", [2, 1, 2], {"outputRatio": [0.5, 0.7, 0.4]}, inputs=VOLUME, seeded=True),
    case("MaxPool1d", 3, {"stride": 2}, inputs=SIGNAL),
    case("MaxPool2d", [3, 2], {"padding": 1, "ceilMode": True}, inputs=IMAGE),
    case("MaxPool3d", 2, {"stride": 1, "dilation": [1, 2, 1]}, inputs=VOLUME),
    case("AvgPool1d", 3, {"padding": 1}, inputs=SIGNAL),
    case("AvgPool2d", 2, {"stride": 1, "padding": 1, "countIncludePad": False}, inputs=IMAGE),
    case("AvgPool3d", 2, {"ceilMode": True}, inputs=VOLUME),
    case("LPPool1d", 2, 3, {"stride": 2}, inputs=SIGNAL),
    case("LPPool2d", 3, [2, 3], inputs=IMAGE, positive=True),
    case("LPPool2d", 2, 2, {"stride": 2, "ceilMode": True}, inputs=IMAGE),
    case("LPPool3d", 2, [2, 1, 2], inputs=VOLUME, positive=True),
    case("AdaptiveAvgPool1d", 4, inputs=SIGNAL),
    case("AdaptiveAvgPool2d", [4, None], inputs=IMAGE),
    case("AdaptiveAvgPool3d", 2, inputs=VOLUME),
    case("AdaptiveMaxPool1d", 4, inputs=SIGNAL),
    case("AdaptiveMaxPool2d", [None, 3], inputs=IMAGE),
    case("AdaptiveMaxPool3d", [2, 3, 1], inputs=VOLUME),
    case("ConstantPad1d", [1, 2], 0.5, inputs=SIGNAL),
    case("ConstantPad2d", 2, -1, inputs=IMAGE),
    case("ConstantPad3d", 1, 2, inputs=VOLUME),
    case("ZeroPad1d", 2, inputs=SIGNAL),
    case("ZeroPad2d", [1, -1, 2, 0], inputs=IMAGE),
    case("ZeroPad3d", 1, inputs=VOLUME),
    case("ReflectionPad1d", 2, inputs=SIGNAL),
    case("ReflectionPad2d", [1, 2, 3, 0], inputs=IMAGE),
    case("ReflectionPad3d", 1, inputs=VOLUME),
    case("ReplicationPad1d", 3, inputs=SIGNAL),
    case("ReplicationPad2d", [1, 2, 3, 0], inputs=IMAGE),
    case("ReplicationPad3d", 2, inputs=VOLUME),
    case("CircularPad1d", 2, inputs=SIGNAL),
    case("CircularPad2d", [1, 2, 3, 0], inputs=IMAGE),
    case("CircularPad3d", 1, inputs=VOLUME),
    case("Flatten", inputs=IMAGE),
    case("Flatten", {"startDim": 2, "endDim": 3}, inputs=IMAGE),
    case("Flatten", 0, 2, inputs=IMAGE),
    case("Unflatten", 1, [2, -1], inputs=IMAGE, python=[1, (2, -1)]),
    case("PixelShuffle", 2, inputs=IMAGE),
    case("PixelUnshuffle", 2, inputs=[[2, 3, 4, 6]]),
    case("ChannelShuffle", 2, inputs=IMAGE),
    case("Unfold", [2, 3], {"padding": 1, "stride": 2}, inputs=IMAGE),
    case("Fold", [4, 5], [2, 2], {"stride": 1}, inputs=[[2, 8, 12]]),
    case("Upsample", {"scaleFactor": 2}, inputs=SIGNAL),
    case("Upsample", {"size": 11, "mode": "linear"}, inputs=SIGNAL),
    case("Upsample", {"scaleFactor": [1.5, 2], "mode": "bilinear"}, inputs=IMAGE),
    case("Upsample", {"size": [7, 9], "mode": "bicubic", "alignCorners": True}, inputs=IMAGE),
    case("Upsample", {"scaleFactor": 2, "mode": "trilinear"}, inputs=VOLUME),
    case("Upsample", {"size": [7, 4], "mode": "nearest-exact"}, inputs=IMAGE),
    case("Upsample", {"scaleFactor": 0.6, "mode": "area"}, inputs=IMAGE),
    case("UpsamplingNearest2d", {"scaleFactor": 2}, inputs=IMAGE),
    case("UpsamplingBilinear2d", {"size": [9, 8]}, inputs=IMAGE),
    case("TransformerEncoderLayer", 8, 2, {"dimFeedforward": 16, "dropout": 0}, inputs=[[5, 2, 8]],
         python=[8, 2, {"dim_feedforward": 16, "dropout": 0.0}]),
    case("TransformerEncoderLayer", 8, 2,
         {"dimFeedforward": 16, "dropout": 0, "activation": "gelu", "batchFirst": True, "normFirst": True, "bias": False},
         inputs=[[2, 5, 8]],
         python=[8, 2, {"dim_feedforward": 16, "dropout": 0.0, "activation": "gelu", "batch_first": True,
                        "norm_first": True, "bias": False}]),
    case("TransformerDecoderLayer", 8, 2, {"dimFeedforward": 16, "dropout": 0}, inputs=[[5, 2, 8], [3, 2, 8]],
         python=[8, 2, {"dim_feedforward": 16, "dropout": 0.0}]),
    case("TransformerDecoderLayer", 8, 4, {"dimFeedforward": 16, "dropout": 0, "normFirst": True, "batchFirst": True},
         inputs=[[2, 5, 8], [2, 3, 8]],
         python=[8, 4, {"dim_feedforward": 16, "dropout": 0.0, "norm_first": True, "batch_first": True}]),
]

CLASSES = {"kind": "classes", "shape": [3, 2]}
UNIT = {"kind": "unit"}
SIGN = {"kind": "sign"}

LOSSES = [
    *(case(name, options, inputs=PAIR[:1], target=target, positive=positive)
      for name, target, positive, variants in [
          ("L1Loss", {"kind": "normal"}, False, [{}, {"reduction": "sum"}, {"reduction": "none"}]),
          ("MSELoss", {"kind": "normal"}, False, [{}, {"reduction": "none"}]),
          ("SmoothL1Loss", {"kind": "normal"}, False, [{}, {"beta": 0.3}]),
          ("HuberLoss", {"kind": "normal"}, False, [{}, {"delta": 0.3, "reduction": "sum"}]),
          ("PoissonNLLLoss", {"kind": "unit"}, True, [{}, {"logInput": False, "full": True}]),
          ("HingeEmbeddingLoss", SIGN, False, [{}, {"margin": 0.2}]),
          ("SoftMarginLoss", SIGN, False, [{}, {"reduction": "sum"}]),
          ("KLDivLoss", UNIT, False, [{}, {"reduction": "batchmean"}, {"logTarget": True, "reduction": "sum"}]),
          ("BCELoss", UNIT, True, [{}, {"reduction": "sum"}]),
          ("BCEWithLogitsLoss", UNIT, False, [{}, {"reduction": "none"}]),
      ]
      for options in variants),
    case("CrossEntropyLoss", inputs=[[3, 4, 2]], target=CLASSES),
    case("CrossEntropyLoss", {"ignoreIndex": 1, "labelSmoothing": 0.2, "reduction": "sum"}, inputs=[[3, 4, 2]], target=CLASSES),
    case("CrossEntropyLoss", inputs=[[3, 5]], target={"kind": "probabilities"}),
    case("NLLLoss", {"ignoreIndex": 0}, inputs=[[3, 4, 2]], target=CLASSES),
    case("MultiMarginLoss", {"p": 2, "margin": 0.5}, inputs=[[3, 4]], target={"kind": "classes", "shape": [3]}),
    case("MultiLabelMarginLoss", inputs=[[3, 4]], target={"kind": "labels"}),
    case("MultiLabelSoftMarginLoss", {"reduction": "sum"}, inputs=[[3, 4]], target=UNIT),
    case("TripletMarginWithDistanceLoss", {"margin": 0.7, "swap": True}, inputs=[*PAIR, [3, 5]]),
    case("MarginRankingLoss", {"margin": 0.1}, inputs=[[6], [6]], target=SIGN),
    case("CosineEmbeddingLoss", {"margin": 0.2}, inputs=PAIR, target={"kind": "sign", "shape": [3]}),
    case("TripletMarginLoss", {"margin": 0.7, "swap": True}, inputs=[*PAIR, [3, 5]]),
    case("GaussianNLLLoss", {"full": True}, inputs=PAIR, target={"kind": "unit"}),
]

INITIAL = [
    ("uniform_", [-2, 3], {}, [4, 5]),
    ("normal_", [1, 0.5], {}, [4, 5]),
    ("truncNormal_", [{"mean": 0.2, "std": 0.7, "a": -1, "b": 0.5}], {"mean": 0.2, "std": 0.7, "a": -1, "b": 0.5}, [6, 7]),
    ("truncNormal_", [1, 1, 1.5, 1.9], {}, [6, 7]),
    ("sparse_", [0.3], {}, [10, 4]),
    ("eye_", [], {}, [3, 5]),
    ("dirac_", [{"groups": 2}], {"groups": 2}, [4, 3, 3, 2]),
    ("orthogonal_", [{"gain": 1.5}], {"gain": 1.5}, [3, 5]),
    ("orthogonal_", [], {}, [6, 2, 2]),
    ("kaimingUniform_", [{"a": 0.3}], {"a": 0.3}, [4, 3, 2]),
    ("kaimingNormal_", [{"mode": "fan_out", "nonlinearity": "relu"}], {"mode": "fan_out", "nonlinearity": "relu"}, [4, 3, 2]),
    ("xavierUniform_", [{"gain": 2}], {"gain": 2}, [4, 5]),
    ("kaimingNormal_", [0.1, "fan_in", "leaky_relu"], {}, [4, 3, 2]),
    ("xavierNormal_", [], {}, [4, 5]),
]

OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weightDecay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("Adam", {"lr": 0.1, "weightDecay": 0.1}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "betas": [0.7, 0.8]}),
    ("AdamW", {"lr": 0.1, "weightDecay": 0.2, "maximize": True}),
    ("RMSprop", {"lr": 0.05}),
    ("RMSprop", {"lr": 0.05, "momentum": 0.9, "weightDecay": 0.1, "centered": True, "alpha": 0.8}),
    ("RMSprop", {"lr": 0.05, "momentum": 0.5, "maximize": True}),
    ("Adagrad", {"lr": 0.3}),
    ("Adagrad", {"lr": 0.3, "lrDecay": 0.1, "weightDecay": 0.1, "initialAccumulatorValue": 0.5, "eps": 1e-3, "maximize": True}),
]

SCHEDULERS = [
    ("StepLR", [3, {"gamma": 0.5}]),
    ("MultiStepLR", [[2, 5, 5], {"gamma": 0.3}]),
    ("ConstantLR", [{"factor": 0.5, "totalIters": 4}]),
    ("LinearLR", [{"startFactor": 0.2, "endFactor": 0.9, "totalIters": 6}]),
    ("ExponentialLR", [0.9]),
    ("PolynomialLR", [{"totalIters": 8, "power": 2}]),
    ("CosineAnnealingLR", [6, {"etaMin": 0.01}]),
    ("CosineAnnealingWarmRestarts", [3, {"tMult": 2, "etaMin": 0.01}]),
    ("CyclicLR", [0.1, 0.9, {"stepSizeUp": 3, "stepSizeDown": 2, "mode": "triangular2"}]),
    ("CyclicLR", [0.1, 0.9, {"stepSizeUp": 3, "mode": "exp_range", "gamma": 0.9}]),
    ("OneCycleLR", [{"maxLr": 0.7, "totalSteps": 13, "pctStart": 0.4}]),
]


def snake(name):
    if name == "tMult":
        return "T_mult"
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: "_" + match[1].lower(), name)


def tuples(value):
    return tuple(value) if isinstance(value, list) else value


def split(args):
    """Positional arguments and keywords in Python's spelling."""
    *others, last = [*args, {}] if not args or not isinstance(args[-1], dict) else args
    return [tuples(value) for value in others], {snake(key): tuples(value) for key, value in last.items()}


def build(description):
    args, options = split(description["args"] if description["python"] is None else description["python"])
    return getattr(nn, description["layer"])(*args, **options)


def drawn(description):
    for shape in description["inputs"]:
        # BCELoss and its like want 0..1; everywhere else signs must differ.
        yield torch.rand(shape) * 0.9 + 0.05 if description.get("positive") else torch.randn(shape) * 1.5
    if "indices" in description:
        yield torch.tensor(description["indices"])


def targets(description):
    target = description.get("target")
    if target is None:
        return
    shape = target.get("shape", description["inputs"][0])
    kind = target["kind"]
    if kind == "classes":
        yield torch.randint(0, description["inputs"][0][1], shape)
    elif kind == "labels":
        yield torch.tensor([[2, 0, -1, -1], [1, -1, 0, 0], [3, 2, 1, -1]])
    elif kind == "sign":
        yield torch.randint(0, 2, shape).float() * 2 - 1
    elif kind == "probabilities":
        yield torch.softmax(torch.randn(shape), 1)
    else:
        yield torch.rand(shape) if kind == "unit" else torch.randn(shape)


def run_layer(index, description, tensors):
    """Writes the tensors of a case; returns the names of its state dict in order, which the file does not keep."""
    torch.manual_seed(1000 + index)
    inputs = list(drawn(description))
    others = list(targets(description))
    torch.manual_seed(index)
    layer = build(description)
    for name, value in layer.state_dict().items():
        tensors[f"{index}.weights.{name}"] = value.clone()
    names = list(layer.state_dict())
    for i, x in enumerate([*inputs, *others]):
        tensors[f"{index}.input.{i}"] = x.clone()
        if i < len(inputs) and x.is_floating_point():
            x.requires_grad_()
    if description.get("seeded"):
        torch.manual_seed(7)
    for _ in range(description.get("steps", 1)):
        y = layer(*inputs, *others)
    # Not the sum of squares: a norm keeps it, so that every gradient below would be rounding.
    y.pow(3).sum().backward()
    tensors[f"{index}.expected"] = y.detach()
    for i, x in enumerate(inputs):
        if x.requires_grad:
            tensors[f"{index}.grad.{i}"] = x.grad
    for name, value in layer.named_parameters():
        tensors[f"{index}.grad.{name}"] = value.grad
    for name, value in layer.named_buffers():
        tensors[f"{index}.after.{name}"] = value.clone()
    tensors[f"{index}.eval"] = layer.eval()(*inputs, *others).detach()
    return names


def run_optimizer(index, description, tensors):
    name, options = description
    torch.manual_seed(2000 + index)
    parameters = [torch.randn(3, 2, requires_grad=True), torch.randn(4, requires_grad=True)]
    gradients = torch.randn(3, 10)
    tensors[f"{index}.gradients"] = gradients
    for i, parameter in enumerate(parameters):
        tensors[f"{index}.start.{i}"] = parameter.detach().clone()
    optimizer = getattr(torch.optim, name)(parameters, **{snake(key): value for key, value in options.items()})
    for gradient in gradients:
        parameters[0].grad = gradient[:6].reshape(3, 2).clone()
        parameters[1].grad = gradient[6:].clone()
        optimizer.step()
    for i, parameter in enumerate(parameters):
        tensors[f"{index}.end.{i}"] = parameter.detach().clone()


def rates(name, args):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.4)
    positional, options = split(args)
    if name in ("OneCycleLR", "CyclicLR"):
        options["cycle_momentum"] = False
    positional = [list(value) if isinstance(value, tuple) else value for value in positional]
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, *positional, **options)
    values = [optimizer.param_groups[0]["lr"]]
    for _ in range(12):
        optimizer.step()
        scheduler.step()
        values.append(optimizer.param_groups[0]["lr"])
    return values


def attention(tensors):
    """MultiheadAttention with both masks: its outputs and averaged weights."""
    torch.manual_seed(3)
    layer = nn.MultiheadAttention(8, 2)
    for name, value in layer.state_dict().items():
        tensors[f"attention.weights.{name}"] = value.clone()
    query, key, value = torch.randn(5, 2, 8), torch.randn(4, 2, 8), torch.randn(4, 2, 8)
    padding = torch.tensor([[False, False, True, False], [False, False, False, True]])
    allowed = torch.randn(5, 4)
    mixed, weights = layer(query, key, value, key_padding_mask=padding, attn_mask=allowed.clone())
    causal = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)
    order, _ = layer(query, query, query, attn_mask=causal)
    names = dict(query=query, key=key, value=value, padding=padding, allowed=allowed, mixed=mixed, mean=weights, order=order)
    tensors.update({f"attention.{name}": value.detach().clone() for name, value in names.items()})


def library_fixtures(writer):
    tensors = {}
    cases = LAYERS + LOSSES
    state_names = [run_layer(index, entry, tensors) for index, entry in enumerate(cases)]
    attention(tensors)
    initial = []
    for index, (name, args, keywords, shape) in enumerate(INITIAL):
        torch.manual_seed(index)
        positional = [] if keywords else args
        tensors[f"init.{index}"] = getattr(nn.init, snake(name))(torch.empty(shape), *positional, **keywords)
        initial.append({"name": name, "args": args, "shape": shape})
    optimizer_tensors = {}
    for index, description in enumerate(OPTIMIZERS):
        run_optimizer(index, description, optimizer_tensors)
    keys = ("layer", "args", "inputs", "seeded", "steps", "target")
    described = [
        {key: entry[key] for key in keys if key in entry} | {"state": names}
        for entry, names in zip(cases, state_names)
    ]
    writer.write("nn", {"cases": described, "initial": initial}, tensors)
    schedulers = [{"name": name, "args": args, "rates": rates(name, args)} for name, args in SCHEDULERS]
    optimizers = [{"name": name, "options": options} for name, options in OPTIMIZERS]
    writer.write("optim", {"optimizers": optimizers, "schedulers": schedulers}, optimizer_tensors)
