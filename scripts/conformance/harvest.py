"""Calls that PyTorch's own operator database makes: every aten overload under its samples, forward and backward.

The database says how to call each function over dtypes and shapes; a dispatch mode sees which overloads
that reaches, with which arguments.
"""

import copyreg
import random
import warnings

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from schemas import overload_names

DTYPES = [torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64, torch.bfloat16,
          torch.float16, torch.int32, torch.uint8]
LARGEST = 20_000  # elements of one tensor
CALLS_PER_KIND = 1  # one overload, one combination of dtypes, ranks and layouts
KINDS = 60  # per overload and operator of the database
SEED = 20




def memory_format(name):
    return getattr(torch, name)


# Python cannot pickle them by itself.
copyreg.pickle(torch.memory_format, lambda value: (memory_format, (str(value).rpartition(".")[2],)))


def kind(value):
    """What tells one call from another: not the values and not the exact sizes."""
    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided or value.is_nested:
            return ("tensor", str(value.dtype), value.dim(), str(value.layout))
        sizes = tuple(min(size, 2) for size in value.shape)
        overlapping = any(s == 0 and n > 1 for s, n in zip(value.stride(), value.shape))
        return ("tensor", str(value.dtype), sizes, value.is_contiguous(), overlapping, value.is_conj(), value.is_neg())
    if isinstance(value, (list, tuple)):
        return ("list", len(value), tuple(kind(element) for element in value[:3]))
    if isinstance(value, (bool, str, torch.dtype, torch.layout, torch.memory_format)) or value is None:
        return value
    return type(value).__name__


PLAIN = (bool, int, float, complex, str, torch.dtype, torch.layout, torch.memory_format, torch.device, type(None))


def usable(values):
    """Whether a call can be kept: plain values and CPU tensors of moderate size."""
    leaves, _ = tree_flatten(values)
    total = 0
    for leaf in leaves:
        if not isinstance(leaf, (torch.Tensor, *PLAIN)):
            return False
        if isinstance(leaf, torch.Tensor):
            if type(leaf) not in (torch.Tensor, torch.nn.Parameter) or leaf.is_nested:
                return False
            if leaf.device.type != "cpu":
                return False
            total += leaf.numel()
    return total <= LARGEST


class Calls:
    """Distinct calls, a bounded number per overload."""

    def __init__(self, known):
        self.known = known
        self.seen = {}
        self.found = []

    def add(self, name, args, kwargs, source):
        if name not in self.known or not usable((args, kwargs)):
            return
        kinds = self.seen.setdefault(name, {})
        try:
            key = (kind(list(args)), tuple(sorted((k, kind(v)) for k, v in kwargs.items())))
            count = kinds.get(key, 0)
        except TypeError:
            return
        if count >= CALLS_PER_KIND or (count == 0 and len(kinds) >= KINDS):
            return
        kinds[key] = count + 1
        held = {}

        def hold(value):
            if not isinstance(value, torch.Tensor):
                return value
            if id(value) not in held:
                held[id(value)] = own(value)
            return held[id(value)]

        self.found.append((name, tree_map(hold, list(args)), tree_map(hold, dict(kwargs)), source))


def own(tensor):
    """The same tensor over memory of its own: values, strides, conjugation and negation as they are."""
    with torch.no_grad():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_mkldnn or tensor.is_nested:
            return tensor.detach().clone()
        plain = tensor.detach()
        conj, neg = plain.is_conj(), plain.is_neg()
        if conj:
            plain = torch.ops.aten._conj(plain)
        if neg:
            plain = torch.ops.aten._neg_view(plain)
        if plain.numel() == 0:
            copy = torch.empty_strided(plain.shape, plain.stride(), dtype=plain.dtype)
        else:
            extent = 1 + sum((size - 1) * stride for size, stride in zip(plain.shape, plain.stride()))
            memory = plain.as_strided([extent], [1]).clone()
            copy = memory.as_strided(plain.shape, plain.stride())
        if neg:
            copy = torch.ops.aten._neg_view(copy)
        if conj:
            copy = torch.ops.aten._conj(copy)
        return copy


class Recorder(TorchDispatchMode):
    def __init__(self, calls, source):
        super().__init__()
        self.calls, self.source = calls, source

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name + ("." + func._schema.overload_name if func._schema.overload_name else "")
        if name.startswith("aten::"):
            self.calls.add(name, args, kwargs, self.source)
        return func(*args, **kwargs)


def layouts(sample):
    """The sample as it is, and with its tensors laid out otherwise."""
    yield "", sample
    yield "transposed", sample.transform(transposed)
    yield "channels last", sample.transform(channels_last)
    yield "expanded", sample.transform(expanded)


def transposed(value):
    if isinstance(value, torch.Tensor) and value.dim() >= 2 and value.layout is torch.strided:
        return value.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_(value.requires_grad)
    return value


def channels_last(value):
    if isinstance(value, torch.Tensor) and value.layout is torch.strided and value.dim() in (4, 5):
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}
        return value.detach().contiguous(memory_format=formats[value.dim()]).requires_grad_(value.requires_grad)
    return value


def expanded(value):
    if isinstance(value, torch.Tensor) and value.layout is torch.strided and value.dim() >= 1 and value.shape[0] > 1:
        return value.detach()[:1].expand(value.shape).requires_grad_(value.requires_grad)
    return value


def direct_names(op):
    """aten names that take the very arguments of the database's function."""
    names = {op.name, op.aten_name, op.name.replace(".", "_"), op.name.split(".")[-1]}
    if op.aten_backward_name:
        names.add(op.aten_backward_name)
    return {name for name in names if name}


def tensors_in(value):
    return [leaf for leaf in tree_flatten(value)[0] if isinstance(leaf, torch.Tensor)]


def backward(result):
    outputs = [t for t in tensors_in(result) if t.requires_grad and t.layout is torch.strided]
    if outputs:
        torch.autograd.backward(outputs, [torch.randn_like(output) for output in outputs])


def harvest(indices, samples_per_dtype):
    """Calls of the database's operators `indices`: [(overload, args, kwargs, source)]."""
    warnings.simplefilter("ignore")
    known = set(overload_names())
    packets = {}
    for name in known:
        packets.setdefault(name[len("aten::"):].partition(".")[0], []).append(name)
    found = []
    for index in indices:
        op = op_db[index]
        torch.manual_seed(SEED)
        random.seed(SEED)
        calls = Calls(known)
        supported = op.supported_dtypes("cpu")
        for dtype in (d for d in DTYPES if d in supported):
            grad = dtype in (torch.float32, torch.complex64) and dtype in op.supported_backward_dtypes("cpu")
            source = f"{op.name} {str(dtype)[6:]}"
            try:
                samples = list(op.sample_inputs("cpu", dtype, requires_grad=grad))
            except Exception:
                continue
            step = max(1, len(samples) // samples_per_dtype)
            for position, sample in enumerate(samples[::step]):
                for layout, changed in layouts(sample) if position < 6 else [("", sample)]:
                    label = f"{source} sample {position * step} {layout}".strip()
                    arguments = [changed.input, *changed.args]
                    plain = tree_map(lambda v: v.detach() if isinstance(v, torch.Tensor) else v, (arguments, changed.kwargs))
                    for direct in direct_names(op):
                        for name in packets.get(direct, []):
                            calls.add(name, plain[0], plain[1], label)
                    try:
                        with Recorder(calls, label):
                            result = op.op(*arguments, **changed.kwargs)
                            if grad:
                                backward(result)
                    except Exception:
                        pass
        found += calls.found
    return found
