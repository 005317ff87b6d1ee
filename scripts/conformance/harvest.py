"""Calls that PyTorch's own operator database makes: every aten overload under its samples, forward and backward.

The database says how to call each function over dtypes and shapes, and which calls are errors; a dispatch mode sees
which overloads that reaches, with which arguments.
"""

import copyreg
import itertools
import random
import warnings

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from schemas import overload_names

DTYPES = [torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64, torch.bfloat16,
          torch.float16, torch.int32, torch.uint8, torch.complex128, torch.int8, torch.int16, torch.complex32,
          torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2]
LARGEST = 20_000  # elements of one tensor
CALLS_PER_KIND = 1  # one overload, one combination of dtypes, ranks and layouts
KINDS = 90  # per overload and operator of the database
REFERENCE_SAMPLES = 60  # of the database's larger set, looked at for one dtype
ERRORS = 3  # calls that are errors, per operator of the database


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
    yield "sliced", sample.transform(sliced)
    yield "empty", sample.transform(emptied)


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


def sliced(value):
    """Every other element of a larger tensor, from its second on."""
    if isinstance(value, torch.Tensor) and value.dim() >= 1 and value.layout is torch.strided and not value.is_quantized:
        memory = value.detach().new_zeros([*value.shape[:-1], 2 * value.shape[-1] + 1])
        view = memory[..., 1::2]
        view.copy_(value.detach())
        return view.requires_grad_(value.requires_grad)
    return value


def emptied(value):
    if isinstance(value, torch.Tensor) and value.dim() >= 1 and value.layout is torch.strided:
        return value.detach().narrow(0, 0, 0).requires_grad_(value.requires_grad)
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


def samples_of(op, dtype, grad, count, rng):
    """`count` of the database's calls, drawn evenly, and as many of its larger set: [(label, sample)]."""
    chosen = []
    for kind_, most in (("sample", None), ("reference", REFERENCE_SAMPLES)):
        make = op.sample_inputs if kind_ == "sample" else op.reference_inputs
        try:
            samples = list(itertools.islice(make("cpu", dtype, requires_grad=grad), most))
        except Exception:
            continue
        picked = sorted(rng.sample(range(len(samples)), min(count, len(samples))))
        chosen += [(f"{kind_} {index}", samples[index]) for index in picked]
    return chosen


def harvest(indices, samples_per_dtype, seed):
    """Calls of the database's operators `indices`: [(overload, args, kwargs, source)]. `seed` draws samples and values."""
    warnings.simplefilter("ignore")
    known = set(overload_names())
    packets = {}
    for name in known:
        packets.setdefault(name[len("aten::"):].partition(".")[0], []).append(name)
    found = []
    for index in indices:
        op = op_db[index]
        torch.manual_seed(seed)
        random.seed(seed)
        rng = random.Random(seed * 10_000 + index)
        calls = Calls(known)
        supported = op.supported_dtypes("cpu")

        def record(sample, label, grad, made=True):
            """Not `made`: only written down, because some calls with empty tensors end the process."""
            arguments = [sample.input, *sample.args]
            plain = tree_map(lambda v: v.detach() if isinstance(v, torch.Tensor) else v, (arguments, sample.kwargs))
            for direct in direct_names(op):
                for name in packets.get(direct, []):
                    calls.add(name, plain[0], plain[1], label)
            if not made:
                return
            try:
                with Recorder(calls, label):
                    result = op.op(*arguments, **sample.kwargs)
                    if grad:
                        backward(result)
            except Exception:
                pass

        for dtype in (d for d in DTYPES if d in supported):
            grad = dtype in (torch.float32, torch.complex64) and dtype in op.supported_backward_dtypes("cpu")
            for position, (label, sample) in enumerate(samples_of(op, dtype, grad, samples_per_dtype, rng)):
                for layout, changed in layouts(sample) if position < 6 else [("", sample)]:
                    record(changed, f"{op.name} {str(dtype)[6:]} {label} {layout}".strip(), grad, layout != "empty")
        if op.error_inputs_func is not None:
            try:
                for error in itertools.islice(op.error_inputs("cpu"), ERRORS):
                    record(error.sample_input, f"{op.name} error", False)
            except Exception:
                pass
        found += calls.found
    return found
