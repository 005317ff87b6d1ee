// What the examples share: pictures of digits, and a network that reads them. A picture has 28 x 28 grey values
// in 0..1: the strokes of a digit, turned, slanted, stretched, moved and noisy by chance, like handwriting.
import * as torch from 'landmark-diffusion/torch'

const { nn } = torch
export const size = 28

/** Corners of each digit's strokes, `x,y` in a box 6 wide and 10 high; a stroke ends at `|`. */
const strokes = [
  '3,0 5,1 6,3 6,7 5,9 3,10 1,9 0,7 0,3 1,1 3,0',
  '1,2 3,0 3,10',
  '0,2 1,0 4,0 6,2 5,5 0,10 6,10',
  '0,1 2,0 5,0 6,2 5,4 2,5 5,6 6,8 5,10 2,10 0,9',
  '5,10 5,0 0,7 6,7',
  '6,0 1,0 0,5 3,4 6,6 6,8 4,10 0,9',
  '5,0 2,3 0,7 1,9 3,10 5,9 6,7 5,5 3,5 0,7',
  '0,0 6,0 2,10',
  '3,5 1,4 0,2 1,0 5,0 6,2 5,4 3,5 1,6 0,8 1,10 5,10 6,8 5,6 3,5',
  '6,3 5,5 2,5 0,3 1,1 3,0 5,1 6,3 4,10',
].map((text) => text.split(' ').map((corner) => corner.split(',').map(Number)))

const between = (low, high) => low + Math.random() * (high - low)

/** Distance of (x, y) from the line between two points. */
function distance(x, y, [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay]
  const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)
  const nearest = Math.min(1, Math.max(0, along))
  return Math.hypot(x - ax - nearest * dx, y - ay - nearest * dy)
}

/** 28 x 28 grey values of `digit`, row by row; another picture each time. */
export function draw(digit) {
  const [angle, slant] = [between(-0.25, 0.25), between(-0.25, 0.25)]
  const [width, height] = [between(1.5, 2.3), between(1.6, 2.1)]
  const [left, top] = [between(12, 16), between(12, 16)]
  const corners = strokes[digit].map(([column, row]) => {
    const y = (row - 5) * height
    const x = (column - 3) * width - slant * y
    return [
      left + x * Math.cos(angle) - y * Math.sin(angle),
      top + x * Math.sin(angle) + y * Math.cos(angle),
    ]
  })
  const thickness = between(0.8, 1.6)
  return Float32Array.from({ length: size * size }, (_, i) => {
    const lines = corners.slice(1).map((corner, k) => [corners[k], corner])
    const far = Math.min(...lines.map(([a, b]) => distance(i % size, Math.floor(i / size), a, b)))
    const ink = Math.min(1, Math.max(0, thickness + 0.5 - far))
    return Math.min(1, Math.max(0, ink + between(-0.1, 0.1)))
  })
}

/** `count` pictures as one tensor [count, 1, 28, 28], and the digits that they show, [count]. */
export function makeDigits(count) {
  const digits = Array.from({ length: count }, (_, i) => i % 10)
  const pixels = new Float32Array(count * size * size)
  for (const [i, digit] of digits.entries()) pixels.set(draw(digit), i * size * size)
  return {
    pictures: torch.tensor(pixels, { shape: [count, 1, size, size] }),
    digits: torch.tensor(digits, { dtype: 'int64' }),
  }
}

/** Pictures [B, 1, 28, 28] -> a score for each digit, [B, 10]. */
export function makeNetwork() {
  return new nn.Sequential(
    new nn.Conv2d(1, 16, 3, { stride: 2, padding: 1 }),
    new nn.ReLU(),
    new nn.Conv2d(16, 32, 3, { stride: 2, padding: 1 }),
    new nn.ReLU(),
    new nn.Flatten(),
    new nn.Dropout(0.2),
    new nn.Linear(32 * 7 * 7, 10),
  )
}
