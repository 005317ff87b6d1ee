import { describe, expect, test } from 'vitest'
import { aariz29, cephalometric19, clDetection38 } from '#lib/landmarks/cephalometry.js'
import { landmarkNames } from '#lib/landmarks/landmark-set.js'
import { matchLandmarks } from '#lib/landmarks/match.js'

const pairs = (first: readonly string[], second: readonly string[]) =>
  matchLandmarks(first, second).common.map(({ first: i, second: j }) => [first[i], second[j]])

describe('landmarks of different sets', () => {
  test('are paired by equal names, whatever the order', () => {
    expect(pairs(['S', 'N', 'Or'], ['N', 'X', 'S'])).toEqual([
      ['N', 'N'],
      ['S', 'S'],
    ])
    expect(matchLandmarks(['S', 'N'], ['N', 'X'])).toMatchObject({
      onlyFirst: ['S'],
      onlySecond: ['X'],
    })
  })

  test('are paired whatever the mark of a soft-tissue point', () => {
    expect(pairs(["Pog'"], ['Pog`'])).toEqual([["Pog'", 'Pog`']])
    expect(pairs(['N´'], ['N’'])).toEqual([['N´', 'N’']])
  })

  test('ISBI 2015 shares all 19 with CL-Detection 2023 and all 19 with Aariz', () => {
    const names = landmarkNames(cephalometric19)
    expect(matchLandmarks(names, landmarkNames(clDetection38)).onlyFirst).toEqual([])
    const { common, onlyFirst } = matchLandmarks(names, landmarkNames(aariz29))
    expect(onlyFirst).toEqual([])
    const found = common.map(({ first, name }) => `${names[first]}=${name}`)
    expect(found).toContain('L1=LIT')
    expect(found).toContain('UL=Ls')
  })

  test('a name that both sides have is not taken for an alias', () => {
    expect(pairs(['L1', 'LIT'], ['LIT', 'L1'])).toEqual([
      ['LIT', 'LIT'],
      ['L1', 'L1'],
    ])
  })

  test('are paired by their full names, however these are spelt', () => {
    expect(pairs(['soft_tissue POGONION', 'Sella'], ["Pog'", 'S', 'Pog'])).toEqual([
      ['soft_tissue POGONION', "Pog'"],
      ['Sella', 'S'],
    ])
  })

  test('that have no full name are not taken for each other by a free spelling', () => {
    const set = {
      name: 'hand',
      landmarks: ['X', "X'", '+', '-'].map((name) => ({ name, label: name })),
    }
    expect(matchLandmarks(['X', '-'], ["X'", '+'], [set]).common).toEqual([])
  })

  test('one landmark is paired only once', () => {
    expect(pairs(['L1'], ['LIT', 'LI'])).toEqual([['L1', 'LIT']])
  })
})
