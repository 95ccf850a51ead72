// How long to wait before the next try. Pure but for the chance that the caller passes in.

export interface Backoff {
  /** Wait before the first retry, milliseconds. */
  readonly firstMs: number;
  /** Growth per try. */
  readonly factor: number;
  /** No wait is longer, milliseconds. */
  readonly maxMs: number;
}

/**
 * The wait before retry number attempt (0 is the first), milliseconds: exponential, capped, then spread over
 * ±20 % so that viewers who lost a stream together do not come back together.
 */
export function backoffDelay(attempt: number, policy: Backoff, random: () => number = Math.random): number {
  // 64 tries are past every cap that makes sense, and stay far from infinity.
  const grown = policy.firstMs * policy.factor ** Math.min(Math.max(attempt, 0), 64);
  return Math.round(Math.min(grown, policy.maxMs) * (0.8 + 0.4 * random()));
}
