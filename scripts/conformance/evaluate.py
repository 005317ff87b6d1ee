"""Runs one call of one overload in PyTorch and writes it with its results as a case."""

import ctypes

import torch
from torch.utils._pytree import tree_leaves

import frames
import schemas

SEED = 7
# What they give is whatever lay in memory, or an address.
UNINITIALIZED = {"empty", "empty_like", "empty_strided", "empty_permuted", "empty_quantized", "new_empty",
                 "new_empty_strided", "_empty_affine_quantized", "_empty_per_channel_affine_quantized",
                 "_sparse_compressed_tensor_with_dims", "fbgemm_pack_gemm_matrix_fp16"}
M_PERTURB = -6
libc = ctypes.CDLL(None)
DTYPES = {torch.ops.aten.promote_types(dtype, dtype): frames.name_of(dtype)
          for dtype in vars(torch).values() if isinstance(dtype, torch.dtype) and "bits" not in str(dtype)}

QSCHEMES = ["per_tensor_affine", "per_channel_affine", "per_tensor_symmetric", "per_channel_symmetric",
            "per_channel_affine_float_qparams"]


class Refused(Exception):
    """libtorch refuses the call."""

    def __init__(self, message, header, body):
        super().__init__(message)
        self.header, self.body = header, body


def run(overload, schema, header, body, garbage):
    """One call with fresh inputs. Memory that nobody initialises holds `garbage`."""
    tensors = [frames.decode_input(spec, body) for spec in header["tensors"]]
    types = {argument.name: argument.real_type for argument in schema.arguments}
    positional = [argument.name for argument in schema.arguments]
    args = [frames.decode_value(types[name], value, tensors) for name, value in zip(positional, header["args"])]
    named = {name: frames.decode_value(types[name], value, tensors) for name, value in header["named"].items()}
    torch.manual_seed(SEED)
    libc.mallopt(M_PERTURB, garbage)
    try:
        result = overload(*args, **named)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        if "Expected a value of type" in str(error):
            raise frames.Unsupported("refused by Python's own conversion of arguments") from error
        raise Refused(str(error), header, body) from error
    finally:
        libc.mallopt(M_PERTURB, 0)
    return tensors, result


def storage_of(tensor):
    if tensor.layout is not torch.strided or tensor.is_mkldnn or tensor.is_nested or tensor.device.type != "cpu":
        return None
    return tensor.untyped_storage()._cdata


def describe(tensors, result):
    """Everything that a case says of what a call did, with the bytes in a body of its own."""
    body = frames.Body()
    answer = frames.encode_answer(result, body)
    after = [frames.encode_result(tensor, body) for tensor in tensors]
    storages = [storage_of(tensor) for tensor in tensors]
    aliases = []
    for place, leaf in enumerate(tree_leaves(result)):
        if isinstance(leaf, torch.Tensor) and leaf.numel() > 0:
            storage = storage_of(leaf)
            aliases += [[place, index] for index, other in enumerate(storages) if storage and storage == other]
    return answer, after, aliases, body


def named_dtypes(schema, answer):
    """Python gives the number of a ScalarType or a QScheme that an overload returns."""
    names = {"ScalarTypeType": DTYPES, "QSchemeType": QSCHEMES}
    kind = schema.returns[0].real_type.kind() if len(schema.returns) == 1 else ""
    if kind in names and isinstance(answer["value"], int):
        answer["value"] = names[kind][answer["value"]]


def same(a, a_body, b, b_body):
    if isinstance(a, dict) and "values" in a and "dtype" in a and "parts" not in a and isinstance(a["values"], list):
        x, y = a["values"], b["values"]
        return a_body.bytes[x[0]:x[0] + x[1]] == b_body.bytes[y[0]:y[0] + y[1]]
    return None


def mark(a, a_body, b, b_body):
    """Takes the values out of `a` where `b`, from an equal call, has others. Whether anything is left to compare."""
    if "list" in a:
        return any([mark(x, a_body, y, b_body) for x, y in zip(a["list"], b["list"])])
    if "tensor" in a:
        return mark(a["tensor"], a_body, b["tensor"], b_body)
    if "parts" in a:
        return any([mark(v, a_body, b["parts"][k], b_body) for k, v in a["parts"].items()])
    if "value" in a:
        if a["value"] != b["value"]:
            a["undetermined"] = True
        return "undetermined" not in a
    if a.get("device") == "meta":
        return False
    if not same(a, a_body, b, b_body):
        del a["values"]
        return False
    return True


def move(spec, source, target):
    """Points the values of `spec` into another body."""
    if "list" in spec:
        for element in spec["list"]:
            move(element, source, target)
    elif "tensor" in spec:
        move(spec["tensor"], source, target)
    elif "parts" in spec:
        for part in spec["parts"].values():
            move(part, source, target)
    elif isinstance(spec.get("values"), list):
        start, length = spec["values"]
        spec["values"] = target.add(bytes(source.bytes[start:start + length]))


def shape_of(spec):
    return {k: v for k, v in spec.items() if k not in ("values", "parts")}


def case(name, bound, source):
    """(header, body) of the call, run in PyTorch. Raises Refused with libtorch's message, or frames.Unsupported."""
    overload = schemas.overload(name)
    schema = overload._schema
    positional, named = schemas.split(schema, bound)
    types = {argument.name: argument.real_type for argument in schema.arguments}
    tensors = []
    header = {
        "op": name,
        "from": source,
        "seed": SEED,
        "args": [frames.encode_value(argument.real_type, value, tensors) for argument, value in zip(schema.arguments, positional)],
        "named": {key: frames.encode_value(types[key], value, tensors) for key, value in named.items()},
    }
    body = frames.Body()
    header["tensors"] = [frames.encode_input(tensor, body) for tensor in tensors]
    first = describe(*run(overload, schema, header, body, 0x11))
    second = describe(*run(overload, schema, header, body, 0xEE))
    answer, after, aliases, results = first
    named_dtypes(schema, answer)
    named_dtypes(schema, second[0])
    uninitialized = schemas.base_name(name) in UNINITIALIZED
    if uninitialized:
        second[3].bytes[:] = bytes(byte ^ 0xFF for byte in results.bytes)
    determined = mark(answer, results, second[0], second[3]) and not uninitialized
    before = frames.Body()
    unchanged = [frames.encode_result(frames.decode_input(spec, body), before) for spec in header["tensors"]]
    written = []
    for index, (was, now) in enumerate(zip(unchanged, after)):
        if shape_of(was) == shape_of(now) and "parts" not in now and same(was, before, now, results) is not False:
            continue
        if "parts" in now and was == now:
            continue
        determined |= mark(now, results, second[1][index], second[3])
        written.append([index, now])
    move(answer, results, body)
    for _, now in written:
        move(now, results, body)
    header |= {"result": answer, "written": written, "aliases": aliases, "determined": determined}
    return header, body
