export type Patience = {
  withinMs?: number;
  everyMs?: number;
  /** What the error says of how it was last. */
  told?: () => string;
  /** Its reason is thrown when it aborts. */
  signal?: AbortSignal;
};

/** Polls until the probe gives something other than null, undefined or false; the error says what it was waiting for. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  { withinMs = 30_000, everyMs = 50, told = () => '', signal }: Patience = {},
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
      throw new Error(`not within ${withinMs} ms: ${what}. ${last}\n${told()}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
