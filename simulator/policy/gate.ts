import { setImmediate as nothingElse } from 'node:timers/promises';

/**
 * Lets so many through at a time; the others wait in the order in which they came. Each begins when nothing else is there to
 * be done: the sites of one process share a processor, and what one of them does next is not to hold up the others.
 */
export function createGate(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let inside = 0;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (inside >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else inside += 1;
    try {
      await nothingElse();
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) inside -= 1;
      else next();
    }
  };
}
