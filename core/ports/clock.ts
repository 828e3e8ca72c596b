/** Time as an argument. `nowMs` is wall time (epoch ms) and may step; `monoMs` never does and has no meaning across processes. */
export interface Clock {
  nowMs(): number;
  monoMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monoMs: () => performance.now(),
};
