/** Each bucket ends so much above the one before: a quantile read from it is off by at most 5 %. */
const growth = 1.05;

/**
 * How many values fell into each bucket, by the bucket's number: bucket i holds growth^(i−1) < x ≤ growth^i. Histograms of parts add up to that of the whole,
 * whatever the range of values (Masson, Rim & Lee 2019, DDSketch, PVLDB 12, 2195–2205).
 */
export type LatencyHistogram = ReadonlyMap<number, number>;

/** Times below a microsecond are one, so that the number of buckets is bounded: 536 up to a day. */
export const bucketOf = (ms: number): number => Math.ceil(Math.log(Math.max(ms, 1e-3)) / Math.log(growth));

/** The largest value of a bucket, ms. */
export const bucketEnd = (bucket: number): number => growth ** bucket;
