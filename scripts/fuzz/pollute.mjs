// Prototypes that another library has extended: enumerable extras, and accessors that catch plain assignment.
// Not the keys of property descriptors and not array indices: those break Node itself.

const extras = {
  requiresGrad: true,
  dtype: 'nonsense',
  device: 7,
  re: 1,
  im: 2,
  length: -1,
  toJSON: () => 'polluted',
}
const caught = ['id', 'signature', 'code', 'site', 'results', 'tensor', 'shape']

/** Pollutes, and gives the function that cleans up. */
export function pollute() {
  for (const [key, value] of Object.entries(extras)) {
    Object.defineProperty(Object.prototype, key, { value, enumerable: true, configurable: true })
  }
  for (const key of caught) {
    const accessor = { get: () => 'ghost', set() {}, enumerable: true, configurable: true }
    Object.defineProperty(Object.prototype, key, accessor)
  }
  Object.defineProperty(Array.prototype, 'extra', {
    value: 1,
    enumerable: true,
    configurable: true,
  })
  return () => {
    for (const key of [...Object.keys(extras), ...caught]) delete Object.prototype[key]
    delete Array.prototype.extra
  }
}
