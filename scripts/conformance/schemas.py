"""The aten schemas of this PyTorch: their names, and how Python arguments fall into their places."""

import functools
import re

import torch


@functools.cache
def overload_names():
    """Every aten overload that has a schema, sorted: what `torch.call` must reach."""
    return sorted(name for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::"))


def overload(name):
    base, _, tail = name[len("aten::"):].partition(".")
    return getattr(getattr(torch.ops.aten, base), tail or "default")


@functools.cache
def schema(name):
    return overload(name)._schema


def base_name(name):
    return name[len("aten::"):].partition(".")[0]


@functools.cache
def names_by_base():
    found = {}
    for name in overload_names():
        found.setdefault(base_name(name), []).append(name)
    return found


def family(name):
    """Overloads that take one another's arguments: add, add_, add.out, add.Scalar_out, ..."""
    base = base_name(name)
    inner = base.strip("_") if not base.startswith("__") else base
    return re.sub(r"(_copy|_functional|_for_forward_only)$", "", inner)


def type_of(argument):
    """As text: 'Tensor', 'Optional[int]', 'List[Tensor]', 'ScalarType', ..."""
    return str(argument.real_type)


def is_written(argument):
    return argument.alias_info is not None and argument.alias_info.is_write


def bind(to, args, kwargs):
    """Arguments by their schema names, without those at their default; None where they do not fit."""
    bound = {}
    positional = [argument for argument in to.arguments if not argument.kwarg_only]
    if len(args) > len(positional):
        return None
    for argument, value in zip(positional, args):
        bound[argument.name] = value
    known = {argument.name for argument in to.arguments}
    for name, value in kwargs.items():
        if name not in known or name in bound:
            return None
        bound[name] = value
    return bound


def split(to, bound):
    """(positional, by name) for a call of the schema."""
    positional, named, gap = [], {}, False
    for argument in to.arguments:
        if argument.name not in bound:
            gap = True
        elif argument.kwarg_only or gap:
            named[argument.name] = bound[argument.name]
        else:
            positional.append(bound[argument.name])
    return positional, named
