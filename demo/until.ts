/**
 * Polls until the probe gives something other than null, undefined or false; the error says what it was waiting for. Throws
 * the reason of `signal` when that aborts.
 */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  withinMs = 30_000,
  onFailure: () => string = () => '',
  signal?: AbortSignal,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  let last = '';
  for (;;) {
    try {
      const value = await probe();
      if (value !== null && value !== undefined && value !== false) return value;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    signal?.throwIfAborted();
    if (performance.now() > deadline)
      throw new Error(`not within ${withinMs} ms: ${what}. ${last}\n${onFailure()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
