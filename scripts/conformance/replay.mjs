// Repeats one recorded call of PyTorch through `torch.call`, twice (the first call of its kind is run and
// waited for, the second comes from the memo), and compares everything that a caller can see.
import * as torch from 'landmark-diffusion/torch'
import { compareBytes } from './compare.mjs'
import { bytesAt } from './frames.mjs'

const compressed = {
  sparse_csr: ['aten::crow_indices', 'aten::col_indices'],
  sparse_csc: ['aten::ccol_indices', 'aten::row_indices'],
  sparse_bsr: ['aten::crow_indices', 'aten::col_indices'],
  sparse_bsc: ['aten::ccol_indices', 'aten::row_indices'],
}

function contiguous(shape) {
  let stride = 1
  return shape
    .map((_, i) => shape[shape.length - 1 - i])
    .map((size) => {
      const own = stride
      stride *= Math.max(size, 1)
      return own
    })
    .reverse()
}

const equalLists = (a, b) => a.length === b.length && a.every((value, i) => value === b[i])

/** The tensor that `encode_input` of frames.py wrote. */
export function buildTensor(spec, body) {
  const { dtype, shape } = spec
  if (spec.device === 'meta') {
    return torch.call('aten::empty_strided', [shape, spec.strides], { dtype, device: 'meta' })
  }
  if (spec.parts) return assemble(spec, body)
  if (spec.zero) return torch.call('aten::_efficientzerotensor', [shape], { dtype })
  const bytes = bytesAt(body, spec.memory)
  let tensor
  if (equalLists(spec.strides, contiguous(shape))) {
    tensor = torch.fromBuffer(bytes, { dtype, shape })
  } else {
    const size =
      { float64: 8, int64: 8, uint64: 8, complex64: 8, complex128: 16 }[dtype] ?? sizes[dtype]
    const memory = torch.fromBuffer(bytes, { dtype, shape: [bytes.length / size] })
    tensor = torch.call('aten::as_strided', [memory, shape, spec.strides])
  }
  if (spec.neg) tensor = torch.call('aten::_neg_view', [tensor])
  if (spec.conj) tensor = torch.call('aten::_conj', [tensor])
  return tensor
}

const sizes = {
  float32: 4,
  int32: 4,
  uint32: 4,
  complex32: 4,
  float16: 2,
  bfloat16: 2,
  int16: 2,
  uint16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
  float8_e5m2: 1,
  float8_e4m3fn: 1,
  float8_e5m2fnuz: 1,
  float8_e4m3fnuz: 1,
  float8_e8m0fnu: 1,
}

function assemble(spec, body) {
  const parts = Object.fromEntries(
    Object.entries(spec.parts).map(([name, part]) => [name, buildTensor(part, body)]),
  )
  const { dtype, shape, layout } = spec
  if (layout === 'sparse_coo') {
    return torch.call('aten::_sparse_coo_tensor_unsafe', [parts.indices, parts.values, shape], {
      dtype,
      layout,
      is_coalesced: spec.coalesced,
    })
  }
  if (spec.nested) {
    return torch.call('aten::_nested_tensor_from_tensor_list', [Object.values(parts)])
  }
  if (layout === '_mkldnn') return torch.call('aten::to_mkldnn', [parts.values])
  if (spec.quantized === 'tensor') {
    return torch.call('aten::_make_per_tensor_quantized_tensor', [
      parts.values,
      spec.scale,
      spec.zeroPoint,
    ])
  }
  if (spec.quantized === 'channel') {
    return torch.call('aten::_make_per_channel_quantized_tensor', [
      parts.values,
      parts.scales,
      parts.zeroPoints,
      spec.axis,
    ])
  }
  return torch.call(
    'aten::sparse_compressed_tensor.comp_plain_value_size',
    [parts.compressed, parts.plain, parts.values, shape],
    { dtype, layout },
  )
}

function toNumber(value) {
  return typeof value === 'object' ? Number(value.number) : value
}

/** An argument as a caller of `torch.call` writes it. */
export function buildValue(value, tensors) {
  if (Array.isArray(value)) return value.map((element) => buildValue(element, tensors))
  if (typeof value !== 'object' || value === null) return value
  if ('tensor' in value) return tensors[value.tensor]
  if ('bigint' in value) return BigInt(value.bigint)
  if ('float' in value) return torch.scalar(toNumber(value.float), 'float64')
  if ('complex' in value) return { re: toNumber(value.complex[0]), im: toNumber(value.complex[1]) }
  if ('generator' in value) return new torch.Generator('cpu', value.generator)
  return toNumber(value)
}

/** What is wrong with what is known of a tensor at once; null where it is PyTorch's. */
function layoutProblem(tensor, spec) {
  if (!(tensor instanceof torch.Tensor)) return `is ${String(tensor)}, PyTorch gives a tensor`
  if (tensor.dtype !== spec.dtype) return `dtype is ${tensor.dtype}, PyTorch has ${spec.dtype}`
  if (!equalLists(tensor.shape, spec.shape))
    return `shape is [${tensor.shape}], PyTorch has [${spec.shape}]`
  if (spec.strides && !equalLists(tensor.stride(), spec.strides)) {
    return `strides are [${tensor.stride()}], PyTorch has [${spec.strides}]`
  }
  if (spec.device === 'meta' && tensor.device !== 'meta')
    return `device is ${tensor.device}, PyTorch has meta`
  return null
}

async function partsOf(tensor, spec) {
  const ask = async (name) => await torch.call(name, [tensor])
  if (spec.layout === 'sparse_coo')
    return { indices: await ask('aten::_indices'), values: await ask('aten::_values') }
  if (spec.layout in compressed) {
    const [rows, plain] = compressed[spec.layout]
    return {
      compressed: await ask(rows),
      plain: await ask(plain),
      values: await ask('aten::values'),
    }
  }
  if (spec.nested) return { ...(await ask('aten::unbind.int')) }
  if (spec.quantized === 'channel') {
    return {
      values: await ask('aten::int_repr'),
      scales: await ask('aten::q_per_channel_scales'),
      zeroPoints: await ask('aten::q_per_channel_zero_points'),
    }
  }
  return { values: await ask(spec.layout === '_mkldnn' ? 'aten::to_dense' : 'aten::int_repr') }
}

/** Compares one replay with its case; what differs is reported through `report(kind, text)`. */
class Comparison {
  constructor(body, report) {
    this.body = body
    this.report = report
    this.inexact = false
  }

  async values(tensor, spec, where) {
    if (spec.parts) {
      const parts = await partsOf(tensor, spec)
      for (const [name, part] of Object.entries(spec.parts)) {
        const problem = layoutProblem(parts[name], part)
        if (problem) this.report('shape', `${where}.${name}: ${problem}`)
        else await this.values(parts[name], part, `${where}.${name}`)
      }
      return
    }
    if (!spec.values) return
    const data = await tensor.data()
    const got = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const difference = compareBytes(got, bytesAt(this.body, spec.values), spec.dtype)
    if (difference === null) return
    this.inexact = true
    if (difference.problem) this.report('value', `${where}: ${difference.problem}`)
  }

  layout(answer, wanted, where) {
    if (wanted.list) {
      if (!Array.isArray(answer) || answer.length !== wanted.list.length) {
        this.report(
          'shape',
          `${where}: ${answer?.length ?? answer} results, PyTorch has ${wanted.list.length}`,
        )
        return false
      }
      return wanted.list.map((w, i) => this.layout(answer[i], w, `${where}[${i}]`)).every(Boolean)
    }
    if (!wanted.tensor) return true
    const problem = layoutProblem(answer, wanted.tensor)
    if (problem) this.report('shape', `${where}: ${problem}`)
    return problem === null
  }

  async answer(answer, wanted, where) {
    if (wanted.list) {
      for (const [i, w] of wanted.list.entries()) await this.answer(answer[i], w, `${where}[${i}]`)
    } else if (wanted.tensor) {
      await this.values(answer, wanted.tensor, where)
    } else if (!wanted.undetermined) {
      const value = buildValue(wanted.value, [])
      const same =
        typeof value === 'object' && value !== null
          ? Object.is(answer?.re, value.re) && Object.is(answer?.im, value.im)
          : Object.is(answer, value)
      if (!same)
        this.report('value', `${where}: is ${String(answer)}, PyTorch has ${String(value)}`)
    }
  }
}

function leaves(answer) {
  return Array.isArray(answer) ? answer.flatMap(leaves) : [answer]
}

/** A view of the first element of a tensor's memory, whatever the tensor itself is a view of. */
function startOfMemory(tensor) {
  let plain = tensor
  if (torch.call('aten::is_conj', [plain])) plain = torch.call('aten::_conj', [plain])
  if (torch.call('aten::is_neg', [plain])) plain = torch.call('aten::_neg_view', [plain])
  return torch.call('aten::as_strided', [plain, [1], [1], 0])
}

function shareMemory(a, b) {
  return torch.call('aten::is_set_to', [startOfMemory(a), startOfMemory(b)])
}

function checkAliases(header, result, tensors, report) {
  const plain = (t) =>
    t instanceof torch.Tensor &&
    t.device === 'cpu' &&
    t.numel > 0 &&
    t.layout === 'strided' &&
    !t.dtype.startsWith('q') &&
    t.stride().length === t.ndim // a nested tensor has none
  leaves(result).forEach((leaf, place) => {
    if (!plain(leaf)) return
    tensors.forEach((tensor, index) => {
      if (!plain(tensor) || tensor.dtype !== leaf.dtype) return
      const wanted = header.aliases.some(([p, i]) => p === place && i === index)
      const got = leaf === tensor || shareMemory(leaf, tensor)
      if (got !== wanted) {
        report(
          'alias',
          `result ${place} ${got ? 'shares' : 'does not share'} the memory of input ${index}, in PyTorch it ${wanted ? 'does' : 'does not'}`,
        )
      }
    })
  })
}

async function replayOnce({ header, body }, thorough, report) {
  const tensors = header.tensors.map((spec) => buildTensor(spec, body))
  const args = header.args.map((value) => buildValue(value, tensors))
  const named = Object.fromEntries(
    Object.entries(header.named).map(([name, value]) => [name, buildValue(value, tensors)]),
  )
  torch.manualSeed(header.seed)
  let result = torch.call(header.op, args, named)
  if (result instanceof Promise) result = await result
  const comparison = new Comparison(body, report)
  // Before any await: what was known when the call returned.
  const laidOut = comparison.layout(result, header.result, 'result')
  const settled = header.written.filter(([index, spec]) => {
    const problem = layoutProblem(tensors[index], spec)
    if (problem) report('shape', `input ${index}, written to: ${problem}`)
    return !problem
  })
  if (laidOut) await comparison.answer(result, header.result, 'result')
  for (const [index, spec] of settled) {
    await comparison.values(tensors[index], spec, `input ${index}, written to`)
  }
  if (thorough) {
    checkAliases(header, result, tensors, report)
    if (header.written.length > 0) {
      for (const [index, spec] of header.tensors.entries()) {
        if (!spec.memory || spec.conj || spec.neg || header.written.some(([i]) => i === index))
          continue
        if (!equalLists(spec.strides, contiguous(spec.shape))) continue
        await comparison.values(
          tensors[index],
          { ...spec, values: spec.memory },
          `input ${index}, not written to`,
        )
      }
    }
  }
  return comparison.inexact
}

/** A call that PyTorch refuses is to end in libtorch's error here too. */
async function replayRefused({ header, body }, report) {
  const tensors = header.tensors.map((spec) => buildTensor(spec, body))
  const args = header.args.map((value) => buildValue(value, tensors))
  const named = Object.fromEntries(
    Object.entries(header.named).map(([name, value]) => [name, buildValue(value, tensors)]),
  )
  try {
    await torch.call(header.op, args, named)
    // Where the result's shape is known at once, the error comes when the call is run.
    await torch.synchronize()
  } catch (error) {
    if (error.code === 'ERR_OP' || error.code === 'ERR_OUT_OF_MEMORY') return
    throw error
  }
  report('silent', `no error; PyTorch says: ${header.refused.split('\n')[0]}`)
}

/** Replays a case: { problems: [{ kind, text }], exact }. The kinds are those of coverage.mjs. */
export async function replay(one) {
  const problems = []
  let guarded = false
  let inexact = false
  for (const round of ['first', 'again']) {
    const report = (kind, text) =>
      problems.push({ kind, text: `${round === 'again' ? 'called again: ' : ''}${text}` })
    try {
      await torch.scopeAsync(async () => {
        if (one.header.refused) await replayRefused(one, report)
        else inexact = (await replayOnce(one, round === 'first', report)) || inexact
      })
    } catch (error) {
      // PyTorch reads past its tensors and calls what it finds a result.
      guarded =
        one.header.from.startsWith('made up') && /refused, because libtorch/.test(error.message)
      if (guarded) break
      const kind =
        error.code === 'ERR_OP' || error.code === 'ERR_OUT_OF_MEMORY' ? 'error' : 'refused'
      report(kind, `${error.code ?? error.name}: ${error.message.split('\n')[0]}`)
    }
    if (problems.length > 0) break
  }
  return { problems, exact: !inexact && !guarded, guarded }
}
