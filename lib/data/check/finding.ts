/** One thing that is wrong, or worth knowing, about a data set. */
export interface Finding {
  readonly kind:
    | 'annotators differ'
    | 'duplicate annotation'
    | 'duplicate image'
    | 'implausible size'
    | 'implausible spacing'
    | 'missing annotation'
    | 'missing image'
    | 'outlier'
    | 'shifted convention'
    | 'swapped landmarks'
    | 'unknown pixel size'
    | 'unreadable annotation'
  /** A note is worth knowing; a problem makes results wrong. */
  readonly severity: 'problem' | 'note'
  /** A sentence for a person. */
  readonly message: string
  readonly ids?: readonly string[]
  readonly landmarks?: readonly string[]
  readonly annotator?: string
  readonly split?: string
}
