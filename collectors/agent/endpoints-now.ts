import type { Logger } from '../../core/ports/logger.ts';
import type { Endpoint } from './state.ts';
import { within } from './within.ts';

const WITHIN_MS = 3000;

/** The collector's own endpoints, in an order of their own; null when they can't be had soon. */
export async function endpointsNow({
  endpoints,
  logger,
  site,
}: {
  endpoints: () => Promise<Endpoint[]>;
  logger: Logger;
  site: string;
}): Promise<Endpoint[] | null> {
  const asked = endpoints().catch((error: unknown) => {
    logger.warn({ site, why: String(error) }, 'policy.endpoints-unknown');
    return null;
  });
  const found = await within(WITHIN_MS, asked, null);
  return found?.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) ?? null;
}
