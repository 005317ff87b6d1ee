/** Whether the probability of a heatmap's hottest pixel is the share of points that fall on it (jfm15's `plots.py`; evaluation.md 2.4). */

/** Ten equal bins of confidence; the last one has no upper end. */
const bins = 10
const lastBinEnd = 0.15

export interface ReliabilityBin {
  /** Lower end of confidence. */
  from: number
  points: number
  /** Share of the points whose error is below the radius; NaN for none. */
  accuracy: number
  confidence: number
}

export interface Reliability {
  /** Pixel of the heatmaps in mm, the side of a square of its mean area: the figures depend on it. */
  pixelSize: number
  bins: ReliabilityBin[]
  /** Expected calibration error in percent. */
  ece: number
}

/** One point: probability of the hottest pixel, error in mm, and area of a pixel of its heatmap in mm^2. */
export interface ModePoint {
  confidence: number
  error: number
  pixelArea: number
}

/**
 * A point is correct where its error is below sqrt(a / pi), the radius of a disc of a pixel's area a.
 * ECE = 100 sum_b (n_b / N) |accuracy_b - confidence_b|. Null without any point.
 */
export function modeReliability(points: readonly ModePoint[]): Reliability | null {
  if (points.length === 0) return null
  const totals = Array.from({ length: bins }, () => ({ points: 0, correct: 0, confidence: 0 }))
  let area = 0
  for (const { confidence, error, pixelArea } of points) {
    const bin = totals[Math.min(bins - 1, Math.floor((confidence * bins) / lastBinEnd))]
    if (!bin) continue
    bin.points++
    bin.confidence += confidence
    if (error < Math.sqrt(pixelArea / Math.PI)) bin.correct++
    area += pixelArea / points.length
  }
  const ece = totals.reduce(
    (sum, { correct, confidence }) => sum + Math.abs(correct - confidence) / points.length,
    0,
  )
  return {
    pixelSize: Math.sqrt(area),
    bins: totals.map((bin, b) => ({
      from: (b * lastBinEnd) / bins,
      points: bin.points,
      accuracy: bin.correct / bin.points,
      confidence: bin.confidence / bin.points,
    })),
    ece: 100 * ece,
  }
}
