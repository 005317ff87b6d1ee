// @ts-check
/** The page as a whole: colours by choice, and everything open when it is printed. */

const schemes = ['as the system', 'light', 'dark']
const button = /** @type {HTMLButtonElement} */ (document.querySelector('#scheme'))
let scheme = 0

button.addEventListener('click', () => {
  scheme = (scheme + 1) % schemes.length
  if (scheme === 0) delete document.documentElement.dataset.scheme
  else document.documentElement.dataset.scheme = schemes[scheme]
  button.setAttribute('aria-label', `Colours: ${schemes[scheme]}`)
  button.textContent = ['◐', '○', '●'][scheme] ?? ''
})

/** @type {HTMLDetailsElement[]} */
let opened = []
addEventListener('beforeprint', () => {
  opened = [...document.querySelectorAll('details')].filter((details) => !details.open)
  for (const details of opened) details.open = true
})
addEventListener('afterprint', () => {
  for (const details of opened) details.open = false
})

/** Opacity of the heatmaps, for cards and the enlarged image alike. */
const heat = /** @type {HTMLInputElement | null} */ (document.querySelector('#heat'))
heat?.addEventListener('input', () => {
  document.documentElement.style.setProperty('--heat', String(Number(heat.value) / 100))
  const output = document.querySelector('output[for="heat"]')
  if (output) output.textContent = `${heat.value} %`
})
