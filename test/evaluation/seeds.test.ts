import { seedFigures } from 'landmark-diffusion/evaluation'
import { describe, expect, it } from 'vitest'

const table = (values: number[], ids = ['a', 'b']) => ({
  ids,
  landmarks: ['P', 'Q'],
  values: Float64Array.from(values),
})

describe('figures over seeds', () => {
  it("are the mean and the sample SD of each seed's own, beside the SD of the image means", () => {
    // MRE 2, 3, 4; image means 1 and 3, 1 and 5, 1 and 7: SDs 1, 2 and 3.
    const figures = seedFigures([table([1, 1, 3, 3]), table([1, 1, 5, 5]), table([1, 1, 6, 8])])
    expect(figures).toMatchObject({ seeds: 3, images: 2, acrossImages: 2 })
    expect(figures.mre).toEqual({ values: [2, 3, 4], mean: 3, sd: expect.closeTo(1, 12) })
    expect(figures.sdr['3']).toEqual({
      values: [100, 50, 50],
      mean: 200 / 3,
      sd: expect.closeTo(Math.sqrt(2500 / 3), 9),
    })
  })

  it('are of the images that every seed predicted', () => {
    const { images, mre } = seedFigures([table([1, 1, 9, 9]), table([2, 2, 3, 3], ['a', 'c'])])
    expect(images).toBe(1)
    expect(mre.values).toEqual([1, 2])
  })

  it('of the same predictions twice are refused: they would make the SD too small', () => {
    expect(() => seedFigures([table([1, 2, 3, 4]), table([1, 2, 3, 4])])).toThrow(
      /not of different seeds\. Predict again with another --seed/,
    )
  })
})
