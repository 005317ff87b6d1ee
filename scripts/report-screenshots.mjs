// The pictures of docs/report.md, taken of a report in a Chromium of this machine: of synthetic cephalograms only, because
// the real ones may not be shown.
//
//   node scripts/report-screenshots.mjs runs/quickstart/test1/report.html docs/report

import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import sharp from 'sharp'
import { makeFolder } from './make-folder.mjs'

const [report, folder] = process.argv.slice(2)
if (!report || !folder) {
  console.error('Usage: node scripts/report-screenshots.mjs REPORT.html FOLDER')
  process.exit(2)
}

/** Each picture: its name, the colours, what is done before, and the part of the page that it shows. */
const pictures = [
  { name: 'summary', scheme: 'light', part: { x: 0, y: 0, width: 1280, height: 820 } },
  { name: 'largest-errors', scheme: 'light', element: '#worst-points' },
  { name: 'uncertainty', scheme: 'light', element: '#uncertainty .grid' },
  { name: 'clinical', scheme: 'dark', element: '#clinical .grid' },
  { name: 'chain', scheme: 'dark', element: '#film-strips .strip' },
  {
    name: 'enlarged',
    scheme: 'dark',
    part: { x: 0, y: 0, width: 1280, height: 820 },
    act: enlarge,
  },
]

/** The worst image with its layers, and the part of it around its worst point. */
async function enlarge(page) {
  for (const name of ['junior', 'senior', 'chains', 'ring-4'])
    await page.evaluate((id) => document.getElementById(id)?.click(), `show-${name}`)
  await page.locator('#heat').fill('70')
  await page.locator('.enlarge').first().click()
  await page.locator('.point-list button').first().click()
  for (let i = 0; i < 2; i++) await page.keyboard.press('-')
}

makeFolder(folder)
const executablePath = process.env.CHROME_PATH ?? '/usr/bin/chromium'
const browser = await chromium.launch({ executablePath })
for (const { name, scheme, part, element, act } of pictures) {
  const viewport = { width: 1280, height: 820 }
  const page = await browser.newPage({ viewport, colorScheme: scheme })
  await page.goto(pathToFileURL(resolve(report)).href)
  // What stays in place while the page scrolls would lie over a part that is taller than the window.
  if (element) await page.addStyleTag({ content: 'nav { position: static !important }' })
  await act?.(page)
  const png = element
    ? await page.locator(element).first().screenshot()
    : await page.screenshot({ clip: part })
  await sharp(png)
    .webp({ quality: 82, effort: 6 })
    .toFile(join(folder, `${name}.webp`))
  await page.close()
}
await browser.close()
