// How a schema reads in TypeScript: argument and result types, parameters, and the options object.

export const camelCase = (name) =>
  name.replace(/(?<=[a-z0-9])_+([a-z0-9])/g, (_, letter) => letter.toUpperCase())

const types = {
  Tensor: 'Tensor',
  'Tensor[]': 'Tensors',
  'Tensor?[]': 'readonly (Tensor | null)[]',
  Scalar: 'Scalar',
  'Scalar[]': 'readonly Scalar[]',
  int: 'number',
  SymInt: 'number',
  'int[]': 'Numbers',
  'SymInt[]': 'Numbers',
  float: 'number',
  'float[]': 'Numbers',
  bool: 'boolean',
  'bool[]': 'readonly boolean[]',
  str: 'string',
  ScalarType: 'DType',
  Device: 'string',
  Layout: 'Layout',
  MemoryFormat: 'MemoryFormat',
  Generator: 'Generator',
  // The memory of a tensor: JavaScript names it by the tensor.
  Storage: 'Tensor',
}

/** undefined for what JavaScript cannot give. */
export function argumentType({ type, size }) {
  const plain = types[type.replace(/\?$/, '')]
  const text = size !== null && plain === 'Numbers' ? 'NumberOrNumbers' : plain
  return type.endsWith('?') && text !== undefined ? `${text} | null` : text
}

const results = {
  Tensor: 'Tensor',
  'Tensor[]': 'Tensor[]',
  bool: 'boolean',
  SymBool: 'boolean',
  ScalarType: 'DType',
  QScheme: 'string',
  Scalar: 'Scalar',
}

// Whether a mask is among the indices decides: where none is, the shape is known.
const eitherWay = new Set(['aten::index.Tensor'])

export function resultType({ name, text, returns, dynamic }) {
  const names = / -> \((.*)\)$/.exec(text)?.[1]?.split(', ') ?? []
  const all = returns.map(({ type }, i) => {
    const label = /\S (\w+)$/.exec(names[i] ?? '')?.[1]
    const result = results[type] ?? 'number'
    return label === undefined ? result : `${camelCase(label)}: ${result}`
  })
  if (all.length === 0) return 'null'
  const result = all.length === 1 ? all[0].replace(/^\w+: /, '') : `[${all.join(', ')}]`
  if (eitherWay.has(name)) return `${result} | Promise<${result}>`
  return dynamic ? `Promise<${result}>` : result
}

const mayMiss = ({ hasDefault, type }) => hasDefault || type.endsWith('?')

/** Words of the language, which name an option but no parameter or constant. */
export const reserved = new Set(['var'])

function parameter(argument) {
  const name = camelCase(argument.name)
  return `${reserved.has(name) ? `${name}_` : name}: ${argumentType(argument)}`
}

/** `required, ...rest: Tail<[optional], { by name }>`, without the first `skip` arguments. */
export function parameters({ schema, out }, { skip, factory }) {
  const list = schema.arguments.slice(skip)
  // An optional type without a default may be left out too, unless a required argument follows it.
  const lastRequired = list.findLastIndex((argument) => !mayMiss(argument) && !argument.keywordOnly)
  const texts = list.slice(0, lastRequired + 1).map(parameter)
  const others = list.slice(lastRequired + 1)
  const positional = others.filter(({ keywordOnly }) => !keywordOnly).map(parameter)
  const named = others.map((argument) => {
    const optional = mayMiss(argument) ? '?' : ''
    return `${camelCase(argument.name)}${optional}: ${argumentType(argument)}`
  })
  if (factory) named.push('requiresGrad?: boolean')
  if (out !== undefined) named.push(`out?: ${outType(out)}`)
  if (named.length === 0) return texts.join(', ')
  const options = `{ ${named.join('; ')} }`
  const required = others.some((argument) => !mayMiss(argument))
  if (positional.length > 0) {
    texts.push(
      `...rest: ${required ? 'WithOptions' : 'Tail'}<[${positional.join(', ')}], ${options}>`,
    )
  } else {
    texts.push(`options${required ? '' : '?'}: ${options}`)
  }
  return texts.join(', ')
}

/** What an out= variant writes to. */
export const outArguments = (schema) =>
  schema.arguments.filter(({ written, keywordOnly }) => written && keywordOnly)

function outType(out) {
  const { length } = outArguments(out)
  return length === 1 ? 'Tensor' : `readonly [${Array(length).fill('Tensor').join(', ')}]`
}
