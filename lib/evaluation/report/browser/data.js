// @ts-check
/** The numbers behind a figure: saved as CSV or JSON, or shown as a table. */

/** @typedef {{ title: string, columns: string[], rows: (string | number | null)[][] }} FigureData */

/** @param {Element} button */
function dataOf(button) {
  const script = /** @type {HTMLElement} */ (button.parentElement?.querySelector('script.data'))
  return {
    name: script.dataset.name ?? 'data',
    data: /** @type {FigureData} */ (JSON.parse(script.textContent ?? '')),
  }
}

/** As RFC 4180 has it. A text that a spreadsheet would take for a formula gets an apostrophe. @param {string | number | null} value */
function field(value) {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const text = /^[=+@\-\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** @param {FigureData} data */
function csv({ columns, rows }) {
  return `${[columns, ...rows].map((row) => row.map(field).join(',')).join('\r\n')}\r\n`
}

/** @param {string} name @param {string} type @param {string} text */
function save(name, type, text) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type }))
  link.download = name
  link.click()
  // The browser has read it by then; a page that stays open would keep it otherwise.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

for (const button of document.querySelectorAll('[data-save]')) {
  button.addEventListener('click', () => {
    const { name, data } = dataOf(button)
    if (button.getAttribute('data-save') === 'csv') save(`${name}.csv`, 'text/csv', csv(data))
    else save(`${name}.json`, 'application/json', `${JSON.stringify(data, null, 1)}\n`)
  })
}

/** More rows than this are not shown, only saved. */
const rowLimit = 500

/** @param {FigureData} data */
function tableOf({ title, columns, rows }) {
  const box = document.createElement('div')
  box.className = 'scroll data-table'
  box.tabIndex = 0
  box.setAttribute('role', 'region')
  box.setAttribute('aria-label', `Data of ${title}`)
  const table = box.appendChild(document.createElement('table'))
  const head = table.createTHead().insertRow()
  for (const name of columns) {
    const cell = head.appendChild(document.createElement('th'))
    cell.scope = 'col'
    cell.textContent = name
  }
  const body = table.createTBody()
  for (const values of rows.slice(0, rowLimit)) {
    const row = body.insertRow()
    for (const value of values) row.insertCell().textContent = value === null ? '' : String(value)
  }
  if (rows.length > rowLimit) {
    const note = box.appendChild(document.createElement('p'))
    note.textContent = `The first ${rowLimit} of ${rows.length} rows; the saved files have all.`
  }
  return box
}

for (const button of document.querySelectorAll('[data-show]')) {
  button.addEventListener('click', () => {
    const place = /** @type {HTMLElement} */ (button.parentElement)
    const shown = place.querySelector('.data-table')
    if (shown) shown.remove()
    else place.append(tableOf(dataOf(button).data))
    button.setAttribute('aria-expanded', String(!shown))
  })
}
