/** Close codes of the live view's WebSocket. */
export const LIVE_CLOSE = {
  /** The session or token that opened it is no longer good: sign in again. */
  signedOut: 4401,
  /** The viewer does not keep up. */
  slow: 4408,
} as const;
