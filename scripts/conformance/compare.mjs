// Whether values are PyTorch's: bit for bit, or within what a different order of additions explains.
import { bfloatToNumber, halfToNumber } from '#lib/torch/dtype.js'

/** Relative to the value, and absolute relative to the largest value of the tensor. */
const tolerance = {
  float64: 1e-11,
  complex128: 1e-11,
  float32: 1e-5,
  complex64: 1e-5,
  float16: 2e-3,
  complex32: 2e-3,
  bfloat16: 1.6e-2,
}

function numbers(bytes, dtype) {
  const copy = new Uint8Array(bytes).buffer
  if (dtype === 'float64' || dtype === 'complex128') return new Float64Array(copy)
  if (dtype === 'float32' || dtype === 'complex64') return new Float32Array(copy)
  const bits = Array.from(new Uint16Array(copy))
  return bits.map(dtype === 'bfloat16' ? bfloatToNumber : halfToNumber)
}

/** null where the bytes agree, else { exact: false, problem } with `problem` null inside the tolerance. */
export function compareBytes(got, wanted, dtype) {
  if (Buffer.compare(got, wanted) === 0) return null
  if (got.length !== wanted.length) {
    return { problem: `${got.length} bytes of values, PyTorch has ${wanted.length}` }
  }
  const relative = tolerance[dtype]
  if (relative === undefined) return { problem: 'values differ' }
  const a = numbers(got, dtype)
  const b = numbers(wanted, dtype)
  let largest = 0
  for (const value of b) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value))
  for (let i = 0; i < b.length; i++) {
    if (Object.is(a[i], b[i]) || (Number.isNaN(a[i]) && Number.isNaN(b[i]))) continue
    const limit = relative * (Math.abs(b[i]) + 0.1 * Math.min(largest, 1e300))
    if (!(Math.abs(a[i] - b[i]) <= limit)) {
      return { problem: `value ${i} is ${a[i]}, PyTorch has ${b[i]}` }
    }
  }
  return { problem: null }
}
