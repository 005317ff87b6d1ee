/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { accessSync, constants } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import axe from 'axe-core'
import type { Point } from 'landmark-diffusion/evaluation'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeStage, reportOf, type Stage } from './report-fixture.js'

/** A Chromium of this machine: CHROME_PATH, or one on the PATH. */
function findChromium(): string | null {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = folders.flatMap((folder) => names.map((name) => join(folder, name)))
  const isProgram = (path: string) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  }
  return (
    [process.env.CHROME_PATH ?? '', ...candidates].find((path) => path && isProgram(path)) ?? null
  )
}

const executablePath = findChromium()
const reason = executablePath
  ? ''
  : ' (skipped: no Chromium on the PATH and none named by CHROME_PATH)'

describe.skipIf(executablePath === null)(`the report in a browser${reason}`, () => {
  let stage: Stage
  let browser: Browser
  let address = ''
  const problems: string[] = []
  const requests: string[] = []

  beforeAll(async () => {
    stage = await makeStage()
    const file = join(stage.folder, 'report.html')
    await writeFile(file, await reportOf(stage))
    address = pathToFileURL(file).href
    browser = await chromium.launch({ executablePath: executablePath ?? '' })
  })
  afterAll(async () => {
    await browser?.close()
    await rm(stage.folder, { recursive: true })
  })

  /** A fresh page of the report; what goes wrong in it is collected. */
  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options })
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text())
    })
    page.on('pageerror', (error) => problems.push(error.message))
    page.on('request', (request) => requests.push(request.url()))
    await page.goto(address)
    return page
  }

  /** Where the points of one kind are on the screen, and where the drawing is. */
  function drawn(page: Page, svg: string, kind: string) {
    return page.evaluate(
      ({ svg, kind }) => {
        const drawing = document.querySelector(svg) as SVGSVGElement
        const { x, y, width, height } = drawing.getBoundingClientRect()
        const marks = [...drawing.querySelectorAll(`.mark`)].map((mark) => {
          const box = mark.querySelector(`.${kind}`)?.getBoundingClientRect()
          return {
            name: (mark as SVGElement).dataset.landmark,
            centre: box ? [box.x + box.width / 2, box.y + box.height / 2] : null,
          }
        })
        const view = (drawing.getAttribute('viewBox') ?? '').split(' ').map(Number)
        const ground = drawing.querySelector('.ground')?.getBoundingClientRect()
        return { screen: { x, y, width, height }, view, marks, ground: ground?.toJSON() as DOMRect }
      },
      { svg, kind },
    )
  }

  /** The screen's place of a pixel of the image, when a view box is fitted into a rectangle with its centre in the centre. */
  function placeOf([px, py]: Point, { screen, view }: Awaited<ReturnType<typeof drawn>>): Point {
    const [left = 0, top = 0, width = 1, height = 1] = view
    const scale = Math.min(screen.width / width, screen.height / height)
    return [
      screen.x + (screen.width - scale * width) / 2 + scale * (px + 0.5 - left),
      screen.y + (screen.height - scale * height) / 2 + scale * (py + 0.5 - top),
    ]
  }

  async function expectPoints(page: Page, svg: string, id: string): Promise<void> {
    const image = stage.predictions.images.find((own) => own.id === id)
    const lists = {
      predicted: image?.points,
      truth: stage.truth.get(id),
      junior: stage.junior.get(id),
      senior: stage.senior.get(id),
    }
    for (const [kind, points] of Object.entries(lists)) {
      const found = await drawn(page, svg, kind)
      expect(found.marks.map(({ name }) => name)).toEqual(stage.predictions.landmarks)
      for (const [j, { name, centre }] of found.marks.entries()) {
        const point = points?.[j] ?? null
        const what = `${kind} ${name} of ${id}`
        expect(centre === null, what).toBe(point === null)
        if (!centre || !point) continue
        const [x, y] = placeOf(point, found)
        expect(Math.hypot((centre[0] ?? 0) - x, (centre[1] ?? 0) - y), what).toBeLessThan(0.3)
      }
    }
  }

  it('has every section, none of them empty', async () => {
    const page = await open()
    const ids = [
      'summary',
      'errors',
      'landmarks',
      'worst',
      'images',
      'chains',
      'uncertainty',
      'clinical',
      'every-image',
    ]
    for (const id of ids) {
      const section = page.locator(`section#${id}`)
      expect(await section.locator('h2').first().isVisible(), id).toBe(true)
      expect((await section.boundingBox())?.height, id).toBeGreaterThan(60)
      expect(await page.locator(`nav a[href="#${id}"]`).count(), id).toBe(1)
    }
    const figures = [
      'error-distribution',
      'bias-map',
      'coverage',
      'reliability',
      'expected-error',
      'outliers',
      'risk-coverage',
      'bland-altman-sna',
    ]
    for (const id of figures) {
      const chart = page.locator(`#${id} svg.plot`)
      expect(await chart.isVisible(), id).toBe(true)
      // Something is drawn in it beyond its axes.
      expect(
        await chart.locator('[data-mark="dot"] *, [data-mark="line"] *').count(),
        id,
      ).toBeGreaterThan(0)
    }
    expect(await page.locator('#confusion table').count()).toBe(8)
    await page.close()
  })

  it('draws every point where the files say, on cards and enlarged, before and after zooming', async () => {
    const page = await open()
    for (const name of ['junior', 'senior', 'spread']) await page.check(`#show-${name}`)
    const ids = await page
      .locator('.card')
      .evaluateAll((cards) => cards.map((card) => (card as HTMLElement).dataset.id ?? ''))
    expect([...ids].sort()).toEqual(stage.predictions.images.map(({ id }) => id))
    for (const [c, id] of ids.entries()) await expectPoints(page, `#image-${c} svg`, id)
    const whole = await drawn(page, '#image-0 svg', 'predicted')
    const { width, height } = stage.predictions.images[0] ?? { width: 0, height: 0 }
    const [left, top] = placeOf([-0.5, -0.5], whole)
    const [right, bottom] = placeOf([width - 0.5, height - 0.5], whole)
    for (const [side, value] of Object.entries({ left, top, right, bottom }))
      expect(Math.abs(whole.ground[side as 'left'] - value), side).toBeLessThan(0.3)
    // The first two have an original, the third does not.
    expect(await page.locator('[id^="original-"]').count()).toBe(2)
    await page.locator('#image-1 .enlarge').click()
    await expectPoints(page, '.stage svg', ids[1] ?? '')
    await page.keyboard.press('+')
    await page.keyboard.press('ArrowLeft')
    await expectPoints(page, '.stage svg', ids[1] ?? '')
    await page.close()
  })

  it('draws the 95 % ellipse of the covariance, and circles of 2 and 4 mm', async () => {
    const page = await open()
    const { rx, ry, turn, ring } = await page
      .locator('#image-2 svg .mark')
      .first()
      .evaluate((mark) => {
        const ellipse = mark.querySelector('.spread') as SVGEllipseElement
        const rotation = [...ellipse.transform.baseVal].find(
          ({ type }) => type === SVGTransform.SVG_TRANSFORM_ROTATE,
        )
        const radius = (kind: string) =>
          (mark.querySelector(kind) as SVGEllipseElement).rx.baseVal.value
        return {
          rx: ellipse.rx.baseVal.value,
          ry: ellipse.ry.baseVal.value,
          turn: ((rotation?.angle ?? Number.NaN) * Math.PI) / 180,
          ring: [radius('.ring-2'), radius('.ring-4')],
        }
      })
    const [scale = Number.NaN] = stage.predictions.images[0]?.pixelSize ?? []
    // Half axes a, b at an angle make a^2 cos^2 + b^2 sin^2 and so on; 5.991 is the 95 % quantile of chi square with 2 degrees.
    const [cos, sin] = [Math.cos(turn), Math.sin(turn)]
    const perMm = (scale * scale) / 5.991
    expect((rx * rx * cos * cos + ry * ry * sin * sin) * perMm).toBeCloseTo(1, 2)
    expect((rx * rx - ry * ry) * cos * sin * perMm).toBeCloseTo(0.6, 2)
    expect((rx * rx * sin * sin + ry * ry * cos * cos) * perMm).toBeCloseTo(2.25, 2)
    expect(ring.map((radius) => radius * scale)).toEqual([
      expect.closeTo(2, 2),
      expect.closeTo(4, 2),
    ])
    await page.close()
  })

  it('sorts its tables by the keyboard, and says so', async () => {
    const page = await open()
    const names = () =>
      page
        .locator('#landmark-table tbody tr')
        .evaluateAll((rows) =>
          rows.map((row) => row.querySelector('th')?.firstChild?.textContent?.trim()),
        )
    const byError = [...stage.result.perLandmark]
      .sort((a, b) => b.mre - a.mre)
      .map(({ name }) => name)
    expect(await names()).toEqual(stage.predictions.landmarks)
    const head = page.locator('#landmark-table th', { hasText: 'MRE' })
    await head.locator('button').focus()
    await page.keyboard.press('Enter')
    expect(await names()).toEqual(byError)
    expect(await head.getAttribute('aria-sort')).toBe('descending')
    expect(await page.locator('[role="status"]').textContent()).toBe('Sorted by MRE, largest first')
    await page.keyboard.press('Space')
    expect(await names()).toEqual(byError.reverse())
    expect(await head.getAttribute('aria-sort')).toBe('ascending')
    await page.close()
  })

  it('moves heatmaps and chain by sliders, and an enlarged image by the keyboard alone', async () => {
    const page = await open()
    const opacity = () =>
      page.locator('#image-0 .heat').evaluate((heat) => Number(getComputedStyle(heat).opacity))
    expect(await opacity()).toBe(0)
    await page.locator('#heat').focus()
    for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowRight')
    expect(await opacity()).toBeCloseTo(0.2)
    expect(await page.locator('output[for="heat"]').textContent()).toBe('20 %')

    const card = page.locator('#image-0 .enlarge')
    await card.focus()
    await page.keyboard.press('Enter')
    const dialog = page.locator('dialog.viewer')
    const view = async () =>
      ((await page.locator('.stage svg').getAttribute('viewBox')) ?? '').split(' ').map(Number) as [
        number,
        number,
        number,
        number,
      ]
    const before = await view()
    for (let i = 0; i < 4; i++) await page.keyboard.press('+')
    const zoomed = await view()
    expect(zoomed[2]).toBeCloseTo(before[2] / 1.5 ** 4, 3)
    await page.keyboard.press('ArrowRight')
    expect((await view())[0]).toBeCloseTo(zoomed[0] + 0.15 * zoomed[2], 3)
    await page.keyboard.press('0')
    expect(await view()).toEqual(before)
    expect(await page.locator('.resolution').textContent()).toBe(
      'All 760 x 950 pixels of the original.',
    )

    const points = page.locator('.point-list button')
    expect(await points.first().textContent()).toBe('Anot found')
    await points.first().focus()
    await page.keyboard.press('Enter')
    expect((await view())[2]).toBeLessThan(before[2])
    expect(await page.locator('.mark.chosen').getAttribute('data-landmark')).toBe('A')

    const chain = page.locator('.steps input')
    await chain.focus()
    await page.keyboard.press('Home')
    expect(await page.locator('.steps output').textContent()).toBe('t = 19')
    expect(await page.locator('.stage .film').getAttribute('href')).toBe('#film-0-0')
    await page.keyboard.press('End')
    expect(await page.locator('.stage .film').count()).toBe(0)

    await page.locator('.stage').focus()
    await page.keyboard.press('PageDown')
    expect(await page.locator('#viewer-title').textContent()).toContain(
      (await page.locator('#image-1').getAttribute('data-id')) ?? '?',
    )
    await page.keyboard.press('Escape')
    expect(await dialog.evaluate((own) => (own as HTMLDialogElement).open)).toBe(false)
    expect(
      await page.locator('#image-1 .enlarge').evaluate((own) => own === document.activeElement),
    ).toBe(true)
    await page.close()
  })

  it('gives the data of a figure as CSV, as JSON and as a table', async () => {
    const page = await open({ acceptDownloads: true })
    const saved = async (kind: string) => {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.locator(`#landmark-table [data-save="${kind}"]`).click(),
      ])
      expect(download.suggestedFilename()).toBe(`landmark-table.${kind}`)
      return readFile(await download.path(), 'utf8')
    }
    const { columns, rows } = JSON.parse(await saved('json')) as {
      columns: string[]
      rows: unknown[][]
    }
    const column = columns.indexOf('mre')
    for (const [j, { name, mre }] of stage.result.perLandmark.entries()) {
      expect(rows[j]?.[0]).toBe(name)
      expect(rows[j]?.[column]).toBeCloseTo(mre, 4)
    }
    const lines = (await saved('csv')).trimEnd().split('\r\n')
    expect(lines[0]).toBe(columns.join(','))
    expect(lines.length).toBe(rows.length + 1)
    await page.locator('#landmark-table [data-show]').click()
    expect(await page.locator('#landmark-table .data-table tbody tr').count()).toBe(19)
    await page.close()
  })

  it('has no fault that axe finds: light on a wide screen, dark and enlarged on a narrow one', async () => {
    for (const { colorScheme, width, enlarged } of [
      { colorScheme: 'light', width: 1280, enlarged: false },
      { colorScheme: 'dark', width: 400, enlarged: true },
    ] as const) {
      const page = await open({ colorScheme, viewport: { width, height: 900 } })
      const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      const [red = Number.NaN] = (ground.match(/\d+/g) ?? []).map(Number)
      expect(red > 128, colorScheme).toBe(colorScheme === 'light')
      const wide = await page.evaluate(() => document.documentElement.scrollWidth)
      expect(wide, 'the page itself does not scroll sideways').toBeLessThanOrEqual(width)
      // What is enlarged lies over the rest, which axe then leaves out: the contrast in the dark is looked at before.
      const faults = async () => {
        const { violations } = await page.evaluate(() =>
          (window as unknown as { axe: typeof axe }).axe.run(),
        )
        return violations.map(({ id, nodes }) => [id, nodes[0]?.html, nodes[0]?.failureSummary])
      }
      await page.evaluate(axe.source)
      expect(await faults(), colorScheme).toEqual([])
      if (enlarged) {
        await page.locator('.enlarge').first().click()
        expect(await faults(), 'enlarged').toEqual([])
      }
      await page.close()
    }
  }, 120_000)

  it('prints in light colours with all that is folded away, and without controls', async () => {
    const page = await open({ colorScheme: 'dark' })
    await page.emulateMedia({ media: 'print' })
    expect(await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).toBe(
      'rgb(255, 255, 255)',
    )
    for (const control of ['nav', '.layers', '.takeaway'])
      expect(await page.locator(control).first().isVisible(), control).toBe(false)
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
    expect(await page.locator('#image-table').isVisible()).toBe(true)
    const pdf = await page.pdf({ format: 'A4' })
    expect(pdf.subarray(0, 5).toString()).toBe('%PDF-')
    await page.close()
  })

  it('asked for nothing but itself and had nothing to complain about in all of this', () => {
    expect(requests.filter((url) => url !== address && !/^(data|blob):/.test(url))).toEqual([])
    expect(requests).toContain(address)
    expect(problems).toEqual([])
  })
})
