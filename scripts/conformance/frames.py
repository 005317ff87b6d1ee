"""The file format of cases, as README.md describes it: Python values and tensors to frames and back."""

import json
import math
import struct

import torch

QUANTIZED = (torch.qint8, torch.quint8, torch.qint32)
COMPRESSED = {
    torch.sparse_csr: ("crow_indices", "col_indices"),
    torch.sparse_csc: ("ccol_indices", "row_indices"),
    torch.sparse_bsr: ("crow_indices", "col_indices"),
    torch.sparse_bsc: ("ccol_indices", "row_indices"),
}
SAFE = 2**53 - 1


class Unsupported(Exception):
    """The case holds a value that the format cannot say, or that the schema does not take as it is."""


def name_of(thing):
    """'float32' of torch.float32, 'strided' of torch.strided, ..."""
    return str(thing).rpartition(".")[2]


def raw(tensor):
    """Bytes of a contiguous CPU tensor."""
    if tensor.numel() == 0:
        return b""
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


class Body:
    """The bytes behind a header; equal pieces are stored once."""

    def __init__(self):
        self.bytes = bytearray()
        self.places = {}

    def add(self, data):
        if data not in self.places:
            self.bytes += b"\0" * (-len(self.bytes) % 16)
            self.places[data] = [len(self.bytes), len(data)]
            self.bytes += data
        return self.places[data]


def parts_of(tensor):
    """The plain tensors that a sparse, quantized or mkldnn tensor is made of, and what else it is; None for a strided one."""
    if tensor.is_nested:
        if tensor.layout is not torch.strided:
            raise Unsupported("jagged")
        return {"nested": True}, {str(index): part for index, part in enumerate(tensor.unbind())}
    if tensor.layout is torch.sparse_coo:
        return {"layout": "sparse_coo", "coalesced": tensor.is_coalesced()}, {
            "indices": tensor._indices(), "values": tensor._values()}
    if tensor.layout in COMPRESSED:
        compressed, plain = COMPRESSED[tensor.layout]
        return {"layout": name_of(tensor.layout)}, {
            "compressed": getattr(tensor, compressed)(), "plain": getattr(tensor, plain)(), "values": tensor.values()}
    if tensor.is_mkldnn:
        return {"layout": "_mkldnn"}, {"values": tensor.to_dense()}
    if tensor.is_quantized:
        if tensor.dtype not in QUANTIZED:
            raise Unsupported("packed quantized dtype")
        if tensor.qscheme() is torch.per_tensor_affine:
            return {"quantized": "tensor", "scale": tensor.q_scale(), "zeroPoint": tensor.q_zero_point()}, {
                "values": tensor.int_repr()}
        if tensor.qscheme() in (torch.per_channel_affine,):
            return {"quantized": "channel", "axis": tensor.q_per_channel_axis()}, {
                "values": tensor.int_repr(), "scales": tensor.q_per_channel_scales(),
                "zeroPoints": tensor.q_per_channel_zero_points()}
        raise Unsupported(f"quantized {tensor.qscheme()}")
    return None


def head(tensor):
    shape = [tensor.size(0)] + [-1] * (tensor.dim() - 1) if tensor.is_nested else list(tensor.shape)
    return {"dtype": name_of(tensor.dtype), "shape": shape}


def encode_input(tensor, body):
    """A tensor with its memory: strides, conjugation and negation are kept."""
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        raise Unsupported(f"a {type(tensor).__name__}")
    tensor = tensor.detach()
    if tensor.device.type == "meta":
        return {**head(tensor), "device": "meta", "strides": list(tensor.stride())}
    if tensor.device.type != "cpu":
        raise Unsupported("device")
    parts = parts_of(tensor)
    if parts:
        return {**head(tensor), **parts[0], "parts": {k: encode_input(v, body) for k, v in parts[1].items()}}
    spec = {**head(tensor), "strides": list(tensor.stride())}
    if tensor.is_conj():
        tensor, spec["conj"] = torch.ops.aten._conj(tensor), True
    if tensor.is_neg():
        tensor, spec["neg"] = torch.ops.aten._neg_view(tensor), True
    if tensor._is_zerotensor():
        return {**spec, "zero": True}
    extent = 0 if tensor.numel() == 0 else 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride()))
    spec["memory"] = body.add(raw(tensor.as_strided([extent], [1])))
    return spec


def encode_result(tensor, body):
    """A tensor with its values in row-major order, and its strides."""
    tensor = tensor.detach()
    if tensor.device.type == "meta":
        return {**head(tensor), "device": "meta", "strides": list(tensor.stride())}
    parts = parts_of(tensor)
    if parts:
        return {**head(tensor), **parts[0], "parts": {k: encode_result(v, body) for k, v in parts[1].items()}}
    # A copy of bools makes 1 of any garbage in them.
    plain = tensor.view(torch.uint8) if tensor.dtype is torch.bool else tensor
    values = torch.empty(plain.shape, dtype=plain.dtype).copy_(plain)
    return {**head(tensor), "strides": list(tensor.stride()), "values": body.add(raw(values))}


def decode_input(spec, body):
    """The tensor that `encode_input` wrote."""
    dtype = getattr(torch, spec["dtype"])
    if spec.get("device") == "meta":
        return torch.empty_strided(spec["shape"], spec["strides"], dtype=dtype, device="meta")
    if "parts" in spec:
        parts = {k: decode_input(v, body) for k, v in spec["parts"].items()}
        if spec.get("layout") == "sparse_coo":
            return torch.ops.aten._sparse_coo_tensor_unsafe(
                parts["indices"], parts["values"], spec["shape"], dtype=dtype, layout=torch.sparse_coo,
                is_coalesced=spec["coalesced"])
        if spec.get("nested"):
            return torch.ops.aten._nested_tensor_from_tensor_list(list(parts.values()))
        if spec.get("layout") == "_mkldnn":
            return parts["values"].to_mkldnn()
        if spec.get("quantized") == "tensor":
            return torch.ops.aten._make_per_tensor_quantized_tensor(parts["values"], spec["scale"], spec["zeroPoint"])
        if spec.get("quantized") == "channel":
            return torch.ops.aten._make_per_channel_quantized_tensor(
                parts["values"], parts["scales"], parts["zeroPoints"], spec["axis"])
        return torch.ops.aten.sparse_compressed_tensor.comp_plain_value_size(
            parts["compressed"], parts["plain"], parts["values"], spec["shape"], dtype=dtype,
            layout=getattr(torch, spec["layout"]))
    if spec.get("zero"):
        return torch.ops.aten._efficientzerotensor(spec["shape"], dtype=dtype)
    start, length = spec["memory"]
    data = bytearray(body.bytes[start:start + length])
    memory = torch.frombuffer(data, dtype=torch.uint8).clone().view(dtype) if length else torch.empty([0], dtype=dtype)
    tensor = memory.as_strided(spec["shape"], spec["strides"])
    if spec.get("neg"):
        tensor = torch.ops.aten._neg_view(tensor)
    if spec.get("conj"):
        tensor = torch.ops.aten._conj(tensor)
    return tensor


def number(value):
    if math.isnan(value):
        return {"number": "NaN"}
    if math.isinf(value):
        return {"number": "Infinity" if value > 0 else "-Infinity"}
    if value == 0 and math.copysign(1, value) < 0:
        return {"number": "-0"}
    return value


def encode_value(kind, value, tensors):
    """An argument by its schema type. `tensors` collects the tensors, each once."""
    name = kind.kind()
    if name == "OptionalType":
        return None if value is None else encode_value(kind.getElementType(), value, tensors)
    if name == "ListType":
        element = kind.getElementType()
        if not isinstance(value, (list, tuple)):
            if element.kind() in ("IntType", "SymIntType", "FloatType") and isinstance(value, (int, float)):
                return encode_value(element, value, tensors)
            raise Unsupported("not a list")
        return [encode_value(element, v, tensors) for v in value]
    if name in ("TensorType", "ClassType"):
        if value is None or not isinstance(value, torch.Tensor):
            raise Unsupported("not a tensor")
        for index, known in enumerate(tensors):
            if known is value:
                return {"tensor": index}
        tensors.append(value)
        return {"tensor": len(tensors) - 1}
    if name == "BoolType":
        if not isinstance(value, bool):
            raise Unsupported("not a bool")
        return value
    if name in ("IntType", "SymIntType"):
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unsupported("not an int")
        return value if abs(value) <= SAFE else {"bigint": str(value)}
    if name == "FloatType":
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Unsupported("not a float")
        return number(float(value))
    if name == "NumberType":
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if abs(value) <= SAFE else {"bigint": str(value)}
        if isinstance(value, float):
            return {"float": number(value)}
        if isinstance(value, complex):
            return {"complex": [number(value.real), number(value.imag)]}
        raise Unsupported("not a scalar")
    if name == "StringType":
        if not isinstance(value, str):
            raise Unsupported("not a string")
        return value
    if name == "ScalarTypeType" and isinstance(value, torch.dtype):
        return name_of(value)
    if name == "LayoutType" and isinstance(value, torch.layout):
        return name_of(value)
    if name == "MemoryFormatType" and isinstance(value, torch.memory_format):
        return name_of(value)
    if name == "DeviceObjType" and isinstance(value, (str, torch.device)):
        return str(value)
    if name == "GeneratorType" and isinstance(value, torch.Generator):
        return {"generator": value.initial_seed()}
    if name == "StreamObjType" and isinstance(value, torch.Stream):
        return value.device.type
    if name == "StorageType" and isinstance(value, torch.UntypedStorage):
        tensors.append(torch.empty([0], dtype=torch.uint8).set_(value))
        return {"tensor": len(tensors) - 1}
    raise Unsupported(f"{name} from {type(value).__name__}")


def cells(tensors):
    """The parameters of quantized recurrent layers: objects, made of four tensors each."""
    quantized, made = torch.ops.quantized, []
    for w_ih, w_hh, b_ih, b_hh in zip(*[iter(tensors)] * 4):
        if w_ih.is_quantized:
            packed = quantized.linear_prepack(w_ih, b_ih), quantized.linear_prepack(w_hh, b_hh)
            made.append(quantized.make_quantized_cell_params_dynamic(*packed, b_ih, b_hh, True))
        else:
            packed = quantized.linear_prepack_fp16(w_ih, b_ih), quantized.linear_prepack_fp16(w_hh, b_hh)
            made.append(quantized.make_quantized_cell_params_fp16(*packed))
    return made


def decode_value(kind, value, tensors):
    name = kind.kind()
    if name == "OptionalType":
        return None if value is None else decode_value(kind.getElementType(), value, tensors)
    if name == "ListType":
        element = kind.getElementType()
        if element.kind() == "ClassType":
            return cells([tensors[v["tensor"]] for v in value])
        return [decode_value(element, v, tensors) for v in value] if isinstance(value, list) else decode_value(element, value, tensors)
    if name == "StorageType":
        return tensors[value["tensor"]].untyped_storage()
    if name in ("ScalarTypeType", "LayoutType", "MemoryFormatType"):
        return getattr(torch, value)
    if name == "DeviceObjType":
        return torch.device(value)
    if name == "StreamObjType":
        return torch.Stream(value)
    if name == "FloatType":
        return float(value["number"]) if isinstance(value, dict) else float(value)
    if isinstance(value, dict):
        (tag, content), = value.items()
        if tag == "tensor":
            return tensors[content]
        if tag == "bigint":
            return int(content)
        if tag == "float":
            return float(content["number"]) if isinstance(content, dict) else float(content)
        if tag == "complex":
            return complex(*(float(part["number"]) if isinstance(part, dict) else part for part in content))
        if tag == "generator":
            return torch.Generator().manual_seed(content)
    return value


def encode_answer(value, body):
    """A result: a tensor, a list of results, or a plain value."""
    if isinstance(value, torch.Tensor):
        return {"tensor": encode_result(value, body)}
    if isinstance(value, (list, tuple)):
        return {"list": [encode_answer(element, body) for element in value]}
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return {"value": value}
    if isinstance(value, (int, torch.SymInt)):
        return {"value": int(value) if abs(value) <= SAFE else {"bigint": str(int(value))}}
    if isinstance(value, float):
        return {"value": number(value)}
    if isinstance(value, complex):
        return {"value": {"complex": [number(value.real), number(value.imag)]}}
    if isinstance(value, (torch.dtype, torch.qscheme)):
        return {"value": name_of(value)}
    raise Unsupported(f"result {type(value).__name__}")


def frame(header, body):
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 16)
    data = bytes(body.bytes)
    data += b"\0" * (-len(data) % 16)
    return struct.pack("<IIII", len(text), len(data), 0, 0) + text + data
