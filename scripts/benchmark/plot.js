// Plots of benchmark results as SVG, without a library: bars of medians with the quartiles as whiskers.

const inXml = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;')

/** rows: { variant, median, 'quartile 1', 'quartile 3' } -> an SVG document. */
export function rangesSvg(title, subtitle, rows) {
  const [left, width, height, top] = [230, 900, 26, 60]
  const largest = Math.max(...rows.map((row) => row['quartile 3']))
  const x = (value) => left + (value / largest) * (width - left - 90)
  const bars = rows.map((row, i) => {
    const y = top + i * height
    const middle = y + height / 2 - 2
    const own = !/^(eager|compile)-(nchw|nhwc)/.test(row.variant)
    return [
      `<text x="${left - 8}" y="${middle + 4}" text-anchor="end">${inXml(row.variant)}</text>`,
      `<rect x="${left}" y="${y + 3}" width="${(x(row.median) - left).toFixed(1)}" height="${height - 10}" fill="${own ? '#1f77b4' : '#b8b8b8'}"/>`,
      `<path d="M${x(row['quartile 1']).toFixed(1)} ${middle}H${x(row['quartile 3']).toFixed(1)}" stroke="#222" stroke-width="2"/>`,
      `<text x="${(x(row['quartile 3']) + 6).toFixed(1)}" y="${middle + 4}">${row.median.toFixed(1)}</text>`,
    ].join('\n')
  })
  const bottom = top + rows.length * height + 12
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${bottom}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="white"/>
<text x="16" y="24" font-size="16">${inXml(title)}</text>
<text x="16" y="44" fill="#555">${inXml(subtitle)}; bars are medians, lines the quartiles</text>
${bars.join('\n')}
</svg>
`
}
