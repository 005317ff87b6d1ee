// @ts-check
/** Tables that sort by a click on a head, largest first, and the other way round at the next one. */

const status = document.querySelector('[role="status"]')

/** @param {HTMLTableRowElement} row @param {number} column */
function keyOf(row, column) {
  const key = row.cells[column]?.dataset.key
  return key === undefined || key === '' ? Number.NEGATIVE_INFINITY : Number(key)
}

for (const table of document.querySelectorAll('table')) {
  if (!table.classList.contains('sortable')) continue
  const body = /** @type {HTMLTableSectionElement} */ (table.tBodies[0])
  for (const button of table.querySelectorAll('thead button')) {
    button.addEventListener('click', () => {
      const head = /** @type {HTMLTableCellElement} */ (button.parentElement)
      const up = head.getAttribute('aria-sort') === 'descending'
      for (const other of table.querySelectorAll('th[aria-sort]'))
        other.removeAttribute('aria-sort')
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending')
      const rows = [...body.rows].sort((a, b) => {
        const [first, second] = [keyOf(a, head.cellIndex), keyOf(b, head.cellIndex)]
        return first === second ? 0 : second - first
      })
      body.append(...(up ? rows.reverse() : rows))
      if (status)
        status.textContent = `Sorted by ${button.textContent}, ${up ? 'smallest' : 'largest'} first`
    })
  }
}
