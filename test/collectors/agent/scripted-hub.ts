import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { AllowlistSpec } from '../../../core/model/allowlist.ts';
import type {
  Assigned,
  Assignment,
  Envelope,
  KeysBody,
  SignedBody,
  SiteBody,
  SpecBody,
  TargetBody,
} from '../../../core/model/signed.ts';
import { digestOf } from '../../../core/policy/digest.ts';
import { type SigningKey, signBody } from '../../../core/policy/sign.ts';
import type { Documents, Holdings, PolicyLink } from '../../../core/ports/policy-link.ts';
import { parseSelector } from '../../../core/selector.ts';
import { type Alive, Killed } from './kernel.ts';

export const NOW_MS = Date.UTC(2026, 0, 10);
const HOUR_MS = 3_600_000;

export type Key = SigningKey & { publicKey: string };

export function makeKey(id: string): Key {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { id, privateKey, publicKey: xOf(publicKey) };
}

/** Reaches who is asked for by whether it is there; a test says when. */
export class ScriptedHub {
  readonly key = makeKey('k1');
  n = 0;
  isUp = true;
  /** Whether a new connection gets through under what is in force at the site. */
  isReachable: () => boolean = () => true;
  failsBy: 'unreachable' | 'unanswered' = 'unreachable';
  /** Whether the channel of before lasts while no new connection gets through. */
  isHeard = true;
  confirmations = 0;
  /** How often the site said what it holds without being connected anew. */
  tellings = 0;
  readonly #documents = new Map<string, Envelope>();
  #site: { holdings: () => Holdings; onDocuments: (documents: Documents) => void } | null = null;

  constructor(site: string) {
    this.put('Keys', this.keys([this.key]));
    this.put('Site', this.site(site, { env: 'test' }));
  }

  link(alive: Alive): PolicyLink {
    return {
      listen: (holdings, onDocuments) => {
        this.#site = { holdings, onDocuments };
      },
      tell: () => {
        this.tellings += 1;
        if (this.isUp) this.send([...this.#documents.values()], true);
      },
      confirm: async () =>
        alive.effect(() => {
          this.confirmations += 1;
          if (this.isUp && this.isReachable()) return { ok: true };
          const isHubThere = this.isUp && this.isHeard;
          return { ok: false, code: this.failsBy, detail: 'it does not answer', isHubThere };
        }),
    };
  }

  /** A fresh channel: everything that the hub has, or the beginning of it, in as many chunks as follow. */
  connect(isWhole = true): Holdings | undefined {
    if (!this.isUp) return undefined;
    const holdings = this.#site?.holdings();
    this.send([...this.#documents.values()], isWhole);
    return holdings;
  }

  send(envelopes: readonly Envelope[], whole = false): void {
    try {
      this.#site?.onDocuments({ envelopes, whole });
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
  }

  /** Holds the document, and pushes it to the site that is connected. */
  publish(name: string, body: SignedBody): void {
    this.put(name, body);
    const envelope = this.#documents.get(name);
    if (this.isUp && envelope !== undefined) this.send([envelope]);
  }

  put(name: string, body: SignedBody, key: SigningKey = this.key): void {
    this.#documents.set(name, signBody(body, key));
  }

  forget(name: string): void {
    this.#documents.delete(name);
  }

  keys(keys: readonly Key[]): KeysBody {
    const listed = keys.map(({ id, publicKey }) => ({ id, publicKey }));
    return { type: 'keys', tenant: 'default', version: this.#next(), keys: listed };
  }

  site(site: string, labels: Record<string, string>): SiteBody {
    return { type: 'site', tenant: 'default', site, labels, version: this.#next() };
  }

  /** A generation with its specification, for sites with `env=test`. */
  assign(name: string, generation: number, spec: AllowlistSpec, more: Partial<Assigned> = {}): void {
    this.publish(`spec ${name} ${generation}`, specOf(name, generation, spec));
    this.publish(`target ${name}`, this.target(name, assignedOf(generation, spec, more)));
  }

  target(
    name: string,
    current: Assigned | null,
    more: Partial<TargetBody> & { guard?: Assignment['guard'] } = {},
  ): TargetBody {
    const parsed = parseSelector('env=test');
    const { guard = { forbidden: [], widestCidr: null }, ...fields } = more;
    const selector = parsed.ok
      ? parsed.selector.map(({ values, ...rest }) => ({ ...rest, values: [...values] }))
      : [];
    return {
      type: 'target',
      semantics: 1,
      tenant: 'default',
      kind: 'Allowlist',
      name,
      version: this.#next(),
      issuedAtMs: NOW_MS,
      expiresAtMs: NOW_MS + HOUR_MS,
      absent: false,
      assignments: [{ virtualSite: 'test', selector, current, next: null, threshold: 0, seed: '', guard }],
      ...fields,
    };
  }

  #next(): { epoch: number; n: number } {
    this.n += 1;
    return { epoch: 1, n: this.n };
  }
}

export function specOf(name: string, generation: number, spec: AllowlistSpec): SpecBody {
  return {
    type: 'spec',
    tenant: 'default',
    kind: 'Allowlist',
    name,
    generation,
    digest: digestOf(spec),
    spec,
  };
}

export function assignedOf(generation: number, spec: AllowlistSpec, more: Partial<Assigned> = {}): Assigned {
  const how = { mode: 'enforce', established: 'keep', attempt: attempt(1) } as const;
  return { generation, digest: digestOf(spec), ...how, probes: [], ...more };
}

/** The nth time that somebody has it tried. */
export function attempt(n: number): Assigned['attempt'] {
  return { epoch: 1, n };
}

/** Lets one workload out to these networks, on port 443. */
export function allowing(...cidrs: string[]): AllowlistSpec {
  return {
    workloads: { matchLabels: { app: 'checkout' } },
    egress: cidrs.map((cidr, i) => ({ name: `rule-${i}`, to: [{ cidr, ports: ['443/TCP'] }] })),
  };
}

function xOf(key: KeyObject): string {
  const { x } = key.export({ format: 'jwk' });
  if (x === undefined) throw new Error('an Ed25519 key has an x');
  return x;
}
