import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { type Baseline, learnBaseline, learnedMs } from '../../core/link-baseline.ts';
import { type LinkTarget, parseLinkUrl } from '../../core/link-target.ts';
import { createLinkWindow } from '../../core/link-window.ts';
import type { Link } from '../../core/model/report.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Probe } from '../../core/ports/probe.ts';
import { SpoolError } from '../../core/ports/spool.ts';
import { createTry, type TryLink } from './attempt.ts';
import { createLookUp } from './look-up.ts';

export type LinksProbeOptions = {
  /** `url` as core/link-target.ts takes it; `budgetMs` is the acceptable p90. Names are unique, `hub` is taken. */
  links: readonly { name: string; url: string; budgetMs?: number | undefined }[];
  /** Connected to by plain TCP: the certificate is the uplink's business. */
  hub: { url: string };
  intervalMs: number;
  /** How long a connection may take. Above 1000 ms dropped packets show as slow answers rather than losses. */
  timeoutMs?: number | undefined;
  clock: Clock;
  keep: (name: string, text: string) => void;
  kept: (name: string) => string | null;
  /** From 0 up to 1, so that a fleet's attempts don't fall together. */
  random?: () => number;
};

const HUB = 'hub';
const MAX_LINKS = 64;
const KEPT_AS = 'link-baselines';
const KEEP_EVERY_MS = 5 * 60_000;
const CONNECT_MS = 900;
const ANSWER_MS = 5000;

const Baselines = Type.Record(
  Type.String(),
  Type.Object({ usualMs: Type.Number(), windows: Type.Integer() }),
);
type Baselines = Static<typeof Baselines>;
const baselinesValidator = Compile(Baselines);

type Watched = {
  link: Pick<Link, 'name' | 'protocol' | 'target' | 'budgetMs'>;
  attempt: TryLink;
  window: ReturnType<typeof createLinkWindow>;
  /** Name and target: a link that leads elsewhere starts to learn anew. */
  baselineKey: string;
  baseline: Baseline | null;
  underWay: number;
};

/**
 * Tries every link several times between two reads, each time over a new connection. An attempt that would be one too
 * many at once (a peer that answers slowly) is left out.
 */
export function createLinksProbe(options: LinksProbeOptions): Probe {
  const { intervalMs, clock, keep, kept, random = Math.random } = options;
  const spacingMs = Math.min(2000, Math.max(200, intervalMs / 5));
  const connectMs = options.timeoutMs ?? Math.min(intervalMs, CONNECT_MS);
  const timeouts = { connectMs, answerMs: Math.max(connectMs * 2, Math.min(intervalMs, ANSWER_MS)) };
  const maxUnderWay = Math.ceil(timeouts.answerMs / spacingMs) + 1;
  const lookUp = createLookUp(clock);
  const watched = declared(options).map(
    ({ link, target }): Watched => ({
      link,
      attempt: createTry(target, timeouts, clock, lookUp),
      window: createLinkWindow(),
      baselineKey: `${link.name} ${link.target}`,
      baseline: null,
      underWay: 0,
    }),
  );
  let stopping = new AbortController();
  let timers: NodeJS.Timeout[] = [];
  let epoch = 0;
  let readAtMs = 0;
  let keptAtMs = 0;

  async function tryOnce(each: Watched): Promise<void> {
    if (each.underWay >= maxUnderWay) return;
    const { signal } = stopping;
    each.underWay += 1;
    const attempt = await each.attempt(signal);
    each.underWay -= 1;
    if (!signal.aborted) each.window.add(attempt, clock.monoMs());
  }

  function keepBaselines(): void {
    const baselines: Baselines = {};
    for (const { baselineKey, baseline } of watched) if (baseline !== null) baselines[baselineKey] = baseline;
    try {
      keep(KEPT_AS, JSON.stringify(baselines));
      keptAtMs = clock.monoMs();
    } catch (error) {
      // A full disk costs what was learned since, not the report.
      if (!(error instanceof SpoolError && error.code === 'full')) throw error;
    }
  }

  function observe(each: Watched, nowMs: number, elapsedMs: number): Link[] {
    const summary = each.window.summarize(nowMs);
    if (summary === null) return [];
    each.baseline = learnBaseline(each.baseline, summary, elapsedMs);
    const baselineMs = learnedMs(each.baseline);
    const { lastError, ...figures } = summary;
    return [
      {
        ...each.link,
        ...figures,
        epoch,
        ...(baselineMs !== null && { baselineMs }),
        ...(lastError !== null && { lastError }),
      },
    ];
  }

  return {
    name: 'links',
    async start() {
      stopping = new AbortController();
      epoch = clock.nowMs();
      readAtMs = keptAtMs = clock.monoMs();
      const known = parseBaselines(kept(KEPT_AS));
      watched.forEach((each, index) => {
        each.baseline = known[each.baselineKey] ?? null;
        void tryOnce(each);
        // Spread over the spacing, so that the attempts of many links are no burst.
        const first = setTimeout(
          () => {
            void tryOnce(each);
            timers.push(setInterval(() => void tryOnce(each), spacingMs));
          },
          (spacingMs * (index + random())) / watched.length,
        );
        timers.push(first);
      });
    },
    async read() {
      const nowMs = clock.monoMs();
      const links = watched.flatMap((each) => observe(each, nowMs, nowMs - readAtMs));
      readAtMs = nowMs;
      if (nowMs - keptAtMs >= KEEP_EVERY_MS) keepBaselines();
      return { parts: { links }, lost: 0 };
    },
    async stop() {
      if (timers.length === 0) return;
      for (const timer of timers) clearTimeout(timer);
      timers = [];
      stopping.abort();
      keepBaselines();
    },
  };
}

function declared(options: LinksProbeOptions): { link: Watched['link']; target: LinkTarget }[] {
  const hub = parseLinkUrl(options.hub.url);
  if (!hub.ok) throw new Error(hub.reason);
  const target = `${hub.target.url.hostname}:${hub.target.port}`;
  const all = [
    {
      link: { name: HUB, protocol: 'hub' as const, target },
      target: { ...hub.target, protocol: 'tcp' as const },
    },
    ...options.links.map(({ name, url, budgetMs }) => {
      const parsed = parseLinkUrl(url);
      if (!parsed.ok) throw new Error(parsed.reason);
      const { protocol, shown } = parsed.target;
      return {
        link: { name, protocol, target: shown, ...(budgetMs !== undefined && { budgetMs }) },
        target: parsed.target,
      };
    }),
  ];
  if (new Set(all.map(({ link }) => link.name)).size < all.length)
    throw new Error('two links have the same name');
  if (all.length > MAX_LINKS) throw new Error(`a site has at most ${MAX_LINKS - 1} links besides its hub`);
  return all;
}

function parseBaselines(text: string | null): Baselines {
  if (text === null) return {};
  try {
    const value: unknown = JSON.parse(text);
    return baselinesValidator.Check(value) ? value : {};
  } catch {
    return {};
  }
}
