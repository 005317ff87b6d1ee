// A model of one MatMul, x [n, n] -> y = x x, as the bytes of an ONNX file (protobuf, written by hand).
const varint = (value) => {
  const bytes = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest]
    bytes.push((rest % 128) | 128)
  }
}
const number = (field, value) => [field << 3, ...varint(value)]
const bytes = (field, content) => [(field << 3) | 2, ...varint(content.length), ...content]
const text = (field, value) => bytes(field, [...Buffer.from(value)])

/** ValueInfoProto: a name, and a float tensor of n x n. */
const matrix = (name, n) => {
  const shape = [...bytes(1, number(1, n)), ...bytes(1, number(1, n))]
  const tensor = [...number(1, 1), ...bytes(2, shape)]
  return [...text(1, name), ...bytes(2, bytes(1, tensor))]
}

export function matmulModel(n) {
  const node = [...text(1, 'x'), ...text(1, 'x'), ...text(2, 'y'), ...text(4, 'MatMul')]
  const graph = [
    ...bytes(1, node),
    ...text(2, 'matmul'),
    ...bytes(11, matrix('x', n)),
    ...bytes(12, matrix('y', n)),
  ]
  const opset = number(2, 13)
  return Uint8Array.from([...number(1, 8), ...bytes(7, graph), ...bytes(8, opset)])
}
