import { createInterface } from 'node:readline';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Running } from './process.ts';
import type { Target } from './scene.ts';

const Count = Type.Integer({ minimum: 0 });
const Counted = Type.Object({ ok: Count, refused: Count, failed: Count });
type Counted = Static<typeof Counted>;
const validator = Compile(Type.Record(Type.String(), Counted));

/** Long enough without a refusal to take it for over. */
const SETTLED_MS = 1000;
const NONE: Counted = { ok: 0, refused: 0, failed: 0 };

type Outage = { fromMs: number; toMs: number | null };

/** What a workload (demo/world/shopper.js) has met so far, and when. */
export class Visits {
  #newest: Record<string, Counted> = {};
  readonly #outages = new Map<string, Outage>();

  constructor(shopper: Running) {
    if (shopper.child.stdout === null) return;
    createInterface({ input: shopper.child.stdout }).on('line', (line) => this.#take(line));
  }

  at(target: Target): Counted {
    return this.#newest[nameOf(target)] ?? NONE;
  }

  /** Whether a target that had refused it lets it through again. */
  hasSettled(target: Target): boolean {
    const outage = this.#outages.get(nameOf(target));
    if (outage === undefined) return true;
    return outage.toMs !== null && performance.now() - outage.toMs > SETTLED_MS;
  }

  /** From the first refusal until it got through again, by this process's clock; null when it never was refused. */
  outageOf(target: Target): { fromMs: number; toMs: number } | null {
    const outage = this.#outages.get(nameOf(target));
    if (outage === undefined || outage.toMs === null) return null;
    return { fromMs: outage.fromMs, toMs: outage.toMs };
  }

  #take(line: string): void {
    const said: unknown = line.startsWith('{') ? JSON.parse(line) : null;
    if (!validator.Check(said)) return;
    const nowMs = performance.now();
    for (const [name, counted] of Object.entries(said)) {
      const before = this.#newest[name] ?? NONE;
      const outage = this.#outages.get(name);
      if (counted.refused > before.refused)
        this.#outages.set(name, { fromMs: outage?.fromMs ?? nowMs, toMs: null });
      else if (outage !== undefined && outage.toMs === null && counted.ok > before.ok) outage.toMs = nowMs;
    }
    this.#newest = said;
  }
}

function nameOf({ host, port }: Target): string {
  return `${host}:${port}`;
}
