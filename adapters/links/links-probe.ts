import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { type Baseline, learnBaseline, learnedMs } from '../../core/link-baseline.ts';
import { type LinkTarget, parseLinkUrl } from '../../core/link-target.ts';
import { createLinkWindow } from '../../core/link-window.ts';
import type { Link } from '../../core/model/report.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Observation, Probe } from '../../core/ports/probe.ts';
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
  return new LinksProbe(options);
}

class LinksProbe implements Probe {
  readonly name = 'links';
  readonly #options: LinksProbeOptions;
  readonly #watched: readonly Watched[];
  readonly #spacingMs: number;
  readonly #maxUnderWay: number;
  #stopping = new AbortController();
  #timers: NodeJS.Timeout[] = [];
  #epoch = 0;
  #readAtMs = 0;
  #keptAtMs = 0;

  constructor(options: LinksProbeOptions) {
    const { intervalMs, clock } = options;
    const connectMs = options.timeoutMs ?? Math.min(intervalMs, CONNECT_MS);
    const timeouts = { connectMs, answerMs: Math.max(connectMs * 2, Math.min(intervalMs, ANSWER_MS)) };
    const lookUp = createLookUp(clock);
    this.#options = options;
    this.#spacingMs = Math.min(2000, Math.max(200, intervalMs / 5));
    this.#maxUnderWay = Math.ceil(timeouts.answerMs / this.#spacingMs) + 1;
    this.#watched = declared(options).map(({ link, target }) => ({
      link,
      attempt: createTry(target, timeouts, clock, lookUp),
      window: createLinkWindow(),
      baselineKey: `${link.name} ${link.target}`,
      baseline: null,
      underWay: 0,
    }));
  }

  async start(): Promise<void> {
    const { clock, kept, random = Math.random } = this.#options;
    this.#stopping = new AbortController();
    this.#epoch = clock.nowMs();
    this.#readAtMs = this.#keptAtMs = clock.monoMs();
    const known = parseBaselines(kept(KEPT_AS));
    for (const [index, each] of this.#watched.entries()) {
      each.baseline = known[each.baselineKey] ?? null;
      void this.#tryOnce(each);
      // Spread over the spacing, so that the attempts of many links are no burst.
      const delayMs = (this.#spacingMs * (index + random())) / this.#watched.length;
      this.#timers.push(setTimeout(() => this.#tryRegularly(each), delayMs));
    }
  }

  async read(): Promise<Observation> {
    const nowMs = this.#options.clock.monoMs();
    const links = this.#watched.flatMap((each) => this.#observe(each, nowMs));
    this.#readAtMs = nowMs;
    if (nowMs - this.#keptAtMs >= KEEP_EVERY_MS) this.#keepBaselines();
    return { parts: { links }, lost: 0 };
  }

  async stop(): Promise<void> {
    if (this.#timers.length === 0) return;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers = [];
    this.#stopping.abort();
    this.#keepBaselines();
  }

  #tryRegularly(each: Watched): void {
    void this.#tryOnce(each);
    this.#timers.push(setInterval(() => void this.#tryOnce(each), this.#spacingMs));
  }

  async #tryOnce(each: Watched): Promise<void> {
    if (each.underWay >= this.#maxUnderWay) return;
    const { signal } = this.#stopping;
    each.underWay += 1;
    const attempt = await each.attempt(signal);
    each.underWay -= 1;
    if (!signal.aborted) each.window.add(attempt, this.#options.clock.monoMs());
  }

  /** None before its first attempt ended. */
  #observe(each: Watched, nowMs: number): Link[] {
    const summary = each.window.summarize(nowMs);
    if (summary === null) return [];
    each.baseline = learnBaseline(each.baseline, summary, nowMs - this.#readAtMs);
    const baselineMs = learnedMs(each.baseline);
    const { lastError, ...figures } = summary;
    return [
      {
        ...each.link,
        ...figures,
        epoch: this.#epoch,
        ...(baselineMs !== null && { baselineMs }),
        ...(lastError !== null && { lastError }),
      },
    ];
  }

  #keepBaselines(): void {
    const baselines: Baselines = {};
    for (const { baselineKey, baseline } of this.#watched)
      if (baseline !== null) baselines[baselineKey] = baseline;
    try {
      this.#options.keep(KEPT_AS, JSON.stringify(baselines));
      this.#keptAtMs = this.#options.clock.monoMs();
    } catch (error) {
      // A full disk costs what was learned since, not the report.
      if (!(error instanceof SpoolError && error.code === 'full')) throw error;
    }
  }
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
