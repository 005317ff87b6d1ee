"""Arguments for an overload: those that the operator database led to, those of its siblings, and made-up ones."""

import contextlib
import itertools
import random

import torch
from torch.utils._pytree import tree_map

import schemas
from harvest import kind, own

SIDES = {
    "reduce": ["sum", "mean", "amax", "prod", "amin"],
    "rounding_mode": ["trunc", "floor"],
    "mode": ["bilinear", "constant", "reflect", "max"],
    "indexing": ["ij", "xy"],
    "padding": ["same", "valid"],
    "driver": ["gelsd", "gels"],
    "ord": ["fro", "nuc"],
    "UPLO": ["L", "U"],
    "approximate": ["none", "tanh"],
    "side": ["left", "right"],
    "interpolation": ["linear", "nearest"],
    "norm": ["ortho", "backward"],
    "equation": ["ij,jk->ik", "ij->ji"],
    "pad_mode": ["reflect", "constant"],
}
SHAPES = [(2, 3), (3, 3), (4,), (2, 3, 4), (), (1, 2, 4, 4), (2, 4, 4, 4), (1, 2, 4, 4, 4), (2, 2), (0, 3), (8,)]
DTYPES = [torch.float32, torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64, torch.bfloat16,
          torch.float16, torch.int16, torch.uint8, torch.complex128]
LAYOUTS = [torch.strided, torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr]


def from_calls(name, calls):
    """Bound arguments out of the recorded calls of the overload's family: its own first."""
    to = schemas.schema(name)
    wanted = [argument for argument in to.arguments]
    own_calls = [call for call in calls if call[0] == name]
    siblings = [call for call in calls if call[0] != name]
    for caller, args, kwargs, source in varied(own_calls) + varied(siblings):
        of = schemas.schema(caller)
        bound = schemas.bind(of, args, kwargs)
        if bound is None:
            continue
        if caller != name:
            order = [argument.name for argument in of.arguments]
            mapped = {}
            for place, argument in enumerate(wanted):
                if argument.name in bound:
                    mapped[argument.name] = bound[argument.name]
                elif place < len(order) and not argument.kwarg_only and order[place] in bound and order[place] not in {w.name for w in wanted}:
                    mapped[argument.name] = bound[order[place]]
            bound = mapped
            source = f"{source} (as {caller})"
        yield bound, source


def varied(calls):
    """Each dtype of the first tensor in turn, so that the first few calls differ."""
    by_dtype = {}
    for call in calls:
        tensors = [value for value in call[1] if isinstance(value, torch.Tensor)]
        by_dtype.setdefault(str(tensors[0].dtype) if tensors else "", []).append(call)
    rounds = itertools.zip_longest(*by_dtype.values())
    return [call for one in rounds for call in one if call is not None]


def complete(name, bound, rng):
    """Makes up the required arguments that are missing, outputs excepted."""
    to = schemas.schema(name)
    theme = theme_of(bound, rng)
    result = dict(bound)
    for argument in to.arguments:
        if argument.name not in result and not argument.is_out and not argument.has_default_value():
            result[argument.name] = invent(argument, argument.real_type, theme, rng)
    return result


def theme_of(bound, rng):
    for value in bound.values():
        if isinstance(value, torch.Tensor) and value.layout is torch.strided:
            return {"dtype": value.dtype, "shape": tuple(value.shape), "layout": torch.strided}
    layout = rng.choice(LAYOUTS) if rng.random() < 0.15 else torch.strided
    return {"dtype": rng.choice(DTYPES), "shape": rng.choice(SHAPES), "layout": layout}


def invent(argument, kind_, theme, rng):
    """A value that the type allows, near to what the name suggests."""
    name, what = argument.name, kind_.kind()
    rank = len(theme["shape"])
    if what == "OptionalType":
        return None if rng.random() < 0.4 else invent(argument, kind_.getElementType(), theme, rng)
    if what == "ListType":
        element = kind_.getElementType()
        if element.kind() in ("IntType", "SymIntType"):
            if "size" in name and "kernel" not in name or name == "shape":
                return list(theme["shape"])
            if name.startswith("dim") or name == "axes":
                return [rng.randrange(rank)] if rank else []
            length = argument.N or rng.choice([1, 2, 2, 3, max(rank - 2, 1)])
            return [rng.choice([1, 1, 2, 0]) for _ in range(length)]
        length = argument.N or rng.choice([1, 2, 2, 3])
        return [invent(argument, element, theme, rng) for _ in range(length)]
    if what == "TensorType":
        return make_tensor(name, theme, rng)
    if what in ("IntType", "SymIntType"):
        if name.startswith("dim") or name in ("axis", "start_dim", "end_dim"):
            return rng.randrange(-rank, rank) if rank else 0
        return rng.choice([0, 1, 1, 2, 3, 4])
    if what == "FloatType":
        return rng.choice([0.5, 1.0, 0.25, 0.0, 2.0])
    if what == "NumberType":
        return rng.choice([1, 2, 0.5, True]) if not theme["dtype"].is_complex else rng.choice([1, 0.5, 1 + 2j])
    if what == "BoolType":
        return rng.random() < 0.5
    if what == "StringType":
        return rng.choice(SIDES.get(name, ["mean", "none"]))
    if what == "ScalarTypeType":
        return rng.choice([torch.float32, torch.float64, torch.int64, torch.bfloat16, torch.quint8])
    if what == "LayoutType":
        return rng.choice(LAYOUTS)
    if what == "MemoryFormatType":
        return rng.choice([torch.contiguous_format, torch.channels_last, torch.preserve_format])
    if what == "DeviceObjType":
        return torch.device("cpu")
    if what == "GeneratorType":
        return torch.Generator().manual_seed(5)
    if what == "StorageType":
        return torch.arange(24.0).untyped_storage()
    return None


def make_tensor(name, theme, rng):
    shape, dtype = theme["shape"], theme["dtype"]
    if rng.random() < 0.2:
        shape = rng.choice([shape[:1], shape[1:2], shape[-1:], (), shape[::-1], *SHAPES])
    if any(word in name for word in ("ind", "offset", "length", "target", "crow", "col", "row", "batch_sizes")) and rng.random() < 0.8:
        return torch.randint(0, 2, shape)
    if "mask" in name and rng.random() < 0.6:
        return torch.randint(0, 2, shape).bool()
    if name in ("scale", "scales", "zero_point", "zero_points") and rng.random() < 0.7:
        return torch.full(rng.choice([(), (1,), shape[:1]]), 1, dtype=torch.float32 if "scale" in name else rng.choice([torch.int32, torch.int64]))
    if rng.random() < 0.1:
        dtype = rng.choice([torch.float32, torch.int64, torch.bool, torch.uint8])
    if dtype is torch.bool or not (dtype.is_floating_point or dtype.is_complex):
        tensor = torch.randint(0, 2, shape).to(dtype)
    else:
        tensor = torch.rand(shape).to(dtype)
    if theme["layout"] is not torch.strided and tensor.dim() >= 2 and rng.random() < 0.7:
        try:
            return tensor.to_sparse(layout=theme["layout"], blocksize=(1, 1) if theme["layout"] is torch.sparse_bsr else None)
        except RuntimeError:
            return tensor
    return tensor


def functional(name):
    """The overload that computes the same and returns it, of an out= overload."""
    to = schemas.schema(name)
    wanted = [argument.name for argument in to.arguments if not argument.is_out]
    for other in schemas.names_by_base()[schemas.base_name(name)]:
        if other == name:
            continue
        has = [a.name for a in schemas.schema(other).arguments if a.name not in ("dtype", "layout", "device", "pin_memory") or a.name in wanted]
        if has == wanted and not any(a.is_out for a in schemas.schema(other).arguments):
            return other
    return None


def fresh(value):
    return tree_map(lambda v: own(v) if isinstance(v, torch.Tensor) else v, value)


def with_outputs(name, bound, variant, rng, source_of):
    """Adds the out= tensors: of the result's shape, empty ones that must grow, or with odd strides."""
    to = schemas.schema(name)
    outs = [argument for argument in to.arguments if argument.is_out]
    if not outs:
        return bound
    result = None
    if source_of is not None:
        of = schemas.schema(source_of)
        taken = {argument.name for argument in of.arguments}
        positional, named = schemas.split(of, {k: v for k, v in fresh(bound).items() if k in taken})
        with contextlib.suppress(Exception):
            result = schemas.overload(source_of)(*positional, **named)
    if result is not None:
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        if "List" in str(outs[0].real_type):
            results = [results] if not isinstance(result, tuple) else results
        if len(results) < len(outs):
            results = results + results
        shaped = [tree_map(lambda t: output_like(t, variant), results[i]) for i in range(len(outs))]
    else:
        theme = theme_of(bound, rng)
        shaped = []
        for argument in outs:
            dtype = rng.choice([theme["dtype"], theme["dtype"], torch.int64, torch.bool, torch.float32, torch.int32])
            blank = torch.zeros(theme["shape"] if variant == 0 else (0,), dtype=dtype)
            shaped.append([blank, blank.clone()] if "List" in str(argument.real_type) else blank)
    return {**bound, **{argument.name: value for argument, value in zip(outs, shaped)}}


def output_like(result, variant):
    if not isinstance(result, torch.Tensor):
        return result
    if result.layout is not torch.strided or result.is_quantized or result.is_nested:
        return torch.zeros_like(result)
    if variant == 1:
        return torch.zeros([0], dtype=result.dtype)
    if variant == 2 and result.dim() >= 2:
        return torch.zeros(result.shape[::-1], dtype=result.dtype).permute(*range(result.dim() - 1, -1, -1))
    return torch.ones(result.shape, dtype=result.dtype)


def call_kind(bound):
    return tuple(sorted((name, kind(value)) for name, value in bound.items()))
