/** The report's page: its sections in their order, with a way to each, and nothing that is loaded from elsewhere. */

import { conventionText } from '../text.js'
import { readAssets } from './assets.js'
import type { ReportContent } from './content.js'
import { html, type Markup, trusted } from './html.js'
import { chainsSection } from './sections/chains.js'
import { clinicalSection } from './sections/clinical.js'
import { errorsSection } from './sections/errors.js'
import { everyImageSection } from './sections/every-image.js'
import { imagesSection, pictureStore, viewer } from './sections/images.js'
import { landmarksSection } from './sections/landmarks.js'
import { summarySection } from './sections/summary.js'
import { uncertaintySection } from './sections/uncertainty.js'
import { zoomsSection } from './sections/zooms.js'

/** In the order of the page: the name in the navigation, the section's id, and what makes it. */
const sections: readonly (readonly [string, string, (content: ReportContent) => Markup | null])[] =
  [
    ['Summary', 'summary', summarySection],
    ['Errors', 'errors', errorsSection],
    ['Landmarks', 'landmarks', landmarksSection],
    ['Largest errors', 'worst', zoomsSection],
    ['Images', 'images', imagesSection],
    ['Chain', 'chains', chainsSection],
    ['Uncertainty', 'uncertainty', uncertaintySection],
    ['Clinical', 'clinical', clinicalSection],
    ['Every image', 'every-image', everyImageSection],
  ]

function subtitle({ scores, source, imageCount }: ReportContent): string {
  if (scores === null) return `${source}: ${imageCount} images, not scored: no annotations.`
  const { split, truth, images, points, excluded } = scores.result
  const left = excluded.length > 0 ? `, without ${excluded.join(', ')}` : ''
  return `${source}: ${images} images of split ${split} against truth ${truth}, ${points} points${left}.`
}

/** `Made by runs/isbi in 10 steps, 20 chains, seed 0.`, as far as the file says it. */
function madeBy({ model }: ReportContent): Markup | null {
  const { run, steps, chains, seed } = model ?? {}
  const words = [
    typeof run === 'string' && `by ${run}`,
    typeof steps === 'number' && `${steps} step${steps === 1 ? '' : 's'} a chain`,
    typeof chains === 'number' && `${chains} chain${chains === 1 ? '' : 's'}`,
    typeof seed === 'number' && `seed ${seed}`,
  ].filter((word) => word !== false)
  return words.length === 0 ? null : html`<p>Predicted ${words.join(', ')}.</p>`
}

function method({ scores }: ReportContent, date: string): Markup {
  return html`<footer><h2>How it was measured</h2>
<p>Radial errors are distances in mm in the pixels of the original image.${scores && ` Convention ${scores.result.convention}: ${conventionText[scores.result.convention]}. Intervals of 95 % come from a bootstrap over images. A landmark that is annotated but was not found counts as a miss and has no part in means.`}</p>
<p>Written ${date} UTC by landmark-diffusion. Research software, not a medical device.</p></footer>`
}

/** The whole page. It allows itself no network access and no script but its own. */
export function renderPage(content: ReportContent): string {
  const { title, cases, created } = content
  const { style, scripts, policy } = readAssets()
  const rules = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ${policy}; base-uri 'none'; form-action 'none'`
  const date = created.toISOString().slice(0, 16).replace('T', ' ')
  const shown = sections.flatMap(([name, id, make]) => {
    const markup = make(content)
    return markup === null ? [] : { name, id, markup }
  })
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${rules}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="landmark-diffusion">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${trusted(style)}</style>
</head>
<body>
<a class="skip" href="#${shown[0]?.id ?? 'main'}">Skip to the report</a>
<nav aria-label="Sections"><div><ul>${shown.map(({ name, id }) => html`<li><a href="#${id}">${name}</a></li>`)}</ul><button type="button" id="scheme" aria-label="Colours: as the system">◐</button></div></nav>
<header><h1>${title}</h1><p>${subtitle(content)}</p>${madeBy(content)}</header>
<main id="main">
${shown.map(({ markup }) => markup)}
</main>
${method(content, date)}
${viewer}
<p class="hidden" role="status" aria-live="polite"></p>
${pictureStore(cases)}
${scripts.map((text) => html`<script type="module">${trusted(text)}</script>\n`)}
</body>
</html>
`
  return page.text
}
