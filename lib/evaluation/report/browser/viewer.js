// @ts-check
/** The enlarged image: it moves and zooms by mouse, touch and keyboard, down to the pixels of the original, and lists its points, worst first. */

const dialog = /** @type {HTMLDialogElement} */ (document.querySelector('dialog.viewer'))
/** @template {Element} T @param {string} selector @returns {T} */
const find = (selector) => /** @type {T} */ (dialog.querySelector(selector))
const stage = /** @type {HTMLElement} */ (find('.stage'))
const list = /** @type {HTMLElement} */ (find('.point-list'))
const steps = /** @type {HTMLElement} */ (find('.steps'))
const stepSlider = /** @type {HTMLInputElement} */ (find('.steps input'))
const stepOutput = /** @type {HTMLOutputElement} */ (find('.steps output'))
const layers = /** @type {HTMLElement | null} */ (document.querySelector('.layers'))
const layersHome = layers?.parentElement
const cards = [...document.querySelectorAll('.card')].map(
  (card) => /** @type {HTMLElement} */ (card),
)

/** What is shown: the card, its drawing, and the part of the image in its pixels. */
let open = -1
/** @type {SVGSVGElement | null} */
let drawing = null
let [left, top, width] = [0, 0, 1]
let [fullWidth, fullHeight] = [1, 1]

/** Parts smaller than this many pixels of the original are not shown. */
const leastWidth = 24

function ratio() {
  return stage.clientHeight / Math.max(1, stage.clientWidth)
}

/** The width at which the whole image is seen. */
function wholeWidth() {
  return Math.max(fullWidth, fullHeight / ratio())
}

function draw() {
  if (!drawing) return
  width = Math.min(wholeWidth(), Math.max(leastWidth, width))
  const height = width * ratio()
  // A side that has room to spare is centred; the other stays within the image.
  left =
    width >= fullWidth ? (fullWidth - width) / 2 : Math.min(fullWidth - width, Math.max(0, left))
  top =
    height >= fullHeight
      ? (fullHeight - height) / 2
      : Math.min(fullHeight - height, Math.max(0, top))
  drawing.setAttribute('viewBox', `${left} ${top} ${width} ${height}`)
  const scale = width / Math.max(1, stage.clientWidth)
  drawing.style.setProperty('--k', String(scale * 1.2))
  // Enlarged beyond three times, pixels are shown as what they are.
  drawing.classList.toggle('pixels', scale < 1 / 3)
}

/** Zooms by a factor around a point of the stage, given as a share of it. */
function zoom(/** @type {number} */ factor, x = 0.5, y = 0.5) {
  const before = width
  width = Math.min(wholeWidth(), Math.max(leastWidth, width * factor))
  left += (before - width) * x
  top += (before - width) * ratio() * y
  draw()
}

function showAll() {
  width = wholeWidth()
  draw()
}

/** Shows a point in the middle of a part of the image. */
function goTo(/** @type {string} */ landmark) {
  const mark = [...(drawing?.querySelectorAll('.mark') ?? [])].find(
    (own) => /** @type {SVGElement} */ (own).dataset.landmark === landmark,
  )
  if (!mark || !drawing) return
  const places = [...mark.querySelectorAll('g[transform] > .predicted, g[transform] > .truth')].map(
    (own) => /** @type {SVGGElement} */ (own.parentNode).transform.baseVal.getItem(0).matrix,
  )
  if (places.length === 0) return
  const mean = (/** @type {number[]} */ values) => values.reduce((a, b) => a + b, 0) / values.length
  const [x, y] = [mean(places.map(({ e }) => e)), mean(places.map(({ f }) => f))]
  const apart = Math.max(...places.map(({ e, f }) => Math.hypot(e - x, f - y)))
  width = Math.max(fullWidth / 6, 5 * apart)
  left = x + 0.5 - width / 2
  top = y + 0.5 - (width * ratio()) / 2
  draw()
  for (const other of drawing.querySelectorAll('.chosen')) other.classList.remove('chosen')
  mark.classList.add('chosen')
}

/** @param {HTMLElement} card */
function listPoints(card) {
  const figures = /** @type {(number | string | null)[][]} */ (
    JSON.parse(card.dataset.figures ?? '[]')
  )
  const marks = [...card.querySelectorAll('.mark')].map((mark, j) => ({
    name: /** @type {SVGElement} */ (mark).dataset.landmark ?? '',
    error: figures[j]?.[0] ?? null,
    expected: figures[j]?.[1] ?? null,
  }))
  const size = (/** @type {number | string | null} */ error) =>
    typeof error === 'number' ? error : error === null ? -1 : Number.POSITIVE_INFINITY
  marks.sort((a, b) => size(b.error) - size(a.error))
  list.replaceChildren(
    ...marks.map(({ name, error, expected }) => {
      const item = document.createElement('li')
      const button = item.appendChild(document.createElement('button'))
      button.type = 'button'
      const label = button.appendChild(document.createElement('b'))
      label.textContent = name
      const text = button.appendChild(document.createElement('span'))
      text.textContent = [
        error === null ? '' : typeof error === 'number' ? `${error.toFixed(2)} mm` : error,
        typeof expected === 'number' ? `expected ${expected.toFixed(2)}` : '',
      ]
        .filter(Boolean)
        .join(', ')
      if (size(error) > 2) button.classList.add('bad')
      button.addEventListener('click', () => goTo(name))
      return item
    }),
  )
}

/** The steps of the chain that the card knows; the last place of the slider hides them. @param {HTMLElement} card @param {number} c */
function prepareSteps(card, c) {
  const times = (card.dataset.steps ?? '').split(' ').filter(Boolean)
  steps.hidden = times.length === 0
  stepSlider.max = String(times.length)
  stepSlider.value = String(times.length)
  const show = () => {
    const at = Number(stepSlider.value)
    const text = at < times.length ? `t = ${times[at]}` : 'off'
    stepOutput.textContent = text
    stepSlider.setAttribute('aria-valuetext', text)
    drawing?.querySelector('.film')?.remove()
    if (at >= times.length || !drawing) return
    const frame = document.createElementNS('http://www.w3.org/2000/svg', 'use')
    frame.setAttribute('class', 'film')
    frame.setAttribute('href', `#film-${c}-${at}`)
    drawing.insertBefore(frame, drawing.querySelector('.marks'))
  }
  stepSlider.oninput = show
  show()
}

/** @param {number} c @param {string} [landmark] */
function show(c, landmark) {
  const card = cards[c]
  if (!card) return
  open = c
  const source = /** @type {SVGSVGElement} */ (card.querySelector('.enlarge svg'))
  drawing = /** @type {SVGSVGElement} */ (source.cloneNode(true))
  drawing.removeAttribute('aria-hidden')
  drawing.setAttribute('role', 'img')
  drawing.setAttribute('aria-label', `Image ${card.dataset.id} with its points`)
  const [w = 1, h = 1] = (source.dataset.size ?? '').split(' ').map(Number)
  ;[fullWidth, fullHeight] = [w, h]
  const original = document.querySelector(`#original-${c}`)
  if (original) {
    const picture = document.createElementNS('http://www.w3.org/2000/svg', 'image')
    picture.setAttribute('class', 'ground')
    picture.setAttribute('href', original.textContent ?? '')
    picture.setAttribute('width', String(w))
    picture.setAttribute('height', String(h))
    drawing.querySelector('.ground')?.replaceWith(picture)
  }
  const { id, mean: error } = card.dataset
  find('#viewer-title').textContent = `Image ${id}${error ? `, mean error ${error} mm` : ''}`
  const whole = original !== null || source.dataset.reduced === '0'
  find('.resolution').textContent = whole
    ? `All ${w} x ${h} pixels of the original.`
    : `Reduced from ${w} x ${h} pixels.`
  stage.replaceChildren(drawing)
  listPoints(card)
  prepareSteps(card, c)
  if (!dialog.open) {
    if (layers) find('.layer-place').append(layers)
    dialog.showModal()
    stage.focus()
  }
  showAll()
  if (landmark) goTo(landmark)
}

const acts = {
  previous: () => show(Math.max(0, open - 1)),
  next: () => show(Math.min(cards.length - 1, open + 1)),
  in: () => zoom(1 / 1.5),
  out: () => zoom(1.5),
  fit: showAll,
  close: () => dialog.close(),
}

for (const [c, card] of cards.entries())
  card.querySelector('.enlarge')?.addEventListener('click', () => show(c))
for (const link of document.querySelectorAll('[data-open]')) {
  link.addEventListener('click', (event) => {
    event.preventDefault()
    const { open: id, landmark } = /** @type {HTMLElement} */ (link).dataset
    show(
      cards.findIndex((card) => card.id === id),
      landmark,
    )
  })
}
for (const button of dialog.querySelectorAll('[data-act]'))
  button.addEventListener('click', () =>
    acts[/** @type {keyof typeof acts} */ (button.getAttribute('data-act'))](),
  )

dialog.addEventListener('close', () => {
  stage.replaceChildren()
  drawing = null
  if (layers && layersHome) layersHome.querySelector('h2')?.after(layers)
  cards[open]?.querySelector('button')?.focus()
})

/** @type {Record<string, () => void>} */
const keys = {
  '+': acts.in,
  '=': acts.in,
  '-': acts.out,
  0: showAll,
  PageUp: acts.previous,
  PageDown: acts.next,
}
const step = 0.15
/** @type {Record<string, () => void>} */
const moves = {
  ArrowLeft: () => {
    left -= step * width
  },
  ArrowRight: () => {
    left += step * width
  },
  ArrowUp: () => {
    top -= step * width * ratio()
  },
  ArrowDown: () => {
    top += step * width * ratio()
  },
}
dialog.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  // A slider keeps its arrow keys and its page keys.
  if (/** @type {HTMLElement} */ (event.target).tagName === 'INPUT') return
  const move = event.target === stage ? moves[event.key] : undefined
  const act = move ?? keys[event.key]
  if (!act) return
  event.preventDefault()
  act()
  if (move) draw()
})

stage.addEventListener(
  'wheel',
  (event) => {
    event.preventDefault()
    const box = stage.getBoundingClientRect()
    zoom(
      1.0015 ** event.deltaY,
      (event.clientX - box.left) / box.width,
      (event.clientY - box.top) / box.height,
    )
  },
  { passive: false },
)

/** Fingers and the mouse: one drags, two pinch. @type {Map<number, PointerEvent>} */
const pointers = new Map()
stage.addEventListener('pointerdown', (event) => {
  stage.setPointerCapture(event.pointerId)
  pointers.set(event.pointerId, event)
})
stage.addEventListener('pointermove', (event) => {
  const before = pointers.get(event.pointerId)
  if (!before) return
  const scale = width / stage.clientWidth
  const other = [...pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId)
  if (other) {
    const distance = (/** @type {PointerEvent} */ own) =>
      Math.hypot(own.clientX - other.clientX, own.clientY - other.clientY)
    const box = stage.getBoundingClientRect()
    zoom(
      distance(before) / Math.max(1, distance(event)),
      (other.clientX - box.left) / box.width,
      (other.clientY - box.top) / box.height,
    )
  } else {
    left -= (event.clientX - before.clientX) * scale
    top -= (event.clientY - before.clientY) * scale
    draw()
  }
  pointers.set(event.pointerId, event)
})
for (const end of ['pointerup', 'pointercancel'])
  stage.addEventListener(end, (event) =>
    pointers.delete(/** @type {PointerEvent} */ (event).pointerId),
  )
stage.addEventListener('dblclick', (event) => {
  const box = stage.getBoundingClientRect()
  zoom(0.5, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height)
})
new ResizeObserver(draw).observe(stage)
