import { generateKeyPairSync } from 'node:crypto';
import type { AllowlistSpec } from '../../core/model/allowlist.ts';
import type { Report } from '../../core/model/report.ts';
import {
  type Assigned,
  type Assignment,
  type Envelope,
  type SignedBody,
  TENANT,
} from '../../core/model/signed.ts';
import type { Labels } from '../../core/model/site.ts';
import { digestOf } from '../../core/policy/digest.ts';
import { signBody } from '../../core/policy/sign.ts';
import type { Documents, Holdings, PolicyLink } from '../../core/ports/policy-link.ts';
import type { Uplink } from '../../core/ports/uplink.ts';
import { splitSealed } from '../../core/seal.ts';
import { simulatedAgents } from '../../main/simulated-agent.ts';
import { createFleet, type Fleet } from '../../simulator/fleet.ts';
import type { Incident } from '../../simulator/incidents.ts';
import type { Traffic } from '../../simulator/policy/traffic.ts';

const NOON = Date.UTC(2026, 0, 15, 12);
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const x = publicKey.export({ format: 'jwk' }).x ?? '';
const sign = (body: SignedBody): Envelope => signBody(body, { id: 'k1', privateKey });

type Channel = { meet: () => Holdings; hear: (documents: Documents) => void };

/** A hub that signs, and a clock that stands still until told. */
export class PolicyWorld {
  /** How old each report was when it came. */
  readonly ages: number[] = [];
  readonly #channels = new Map<string, Channel>();
  readonly #reports = new Map<string, Report[]>();
  readonly #turns = new Set<() => void>();
  readonly #clock = { nowMs: () => NOON + this.#ms, monoMs: () => this.#ms };
  /** What the workloads connect to from now on. */
  traffic: Traffic = [];
  #fleet: Fleet | null = null;
  #ms = 0;
  #version = 0;

  async start(sites: Record<string, Labels>, traffic: Traffic, incidents: Incident[] = []): Promise<void> {
    this.traffic = traffic;
    this.#fleet = createFleet({
      sites: Object.entries(sites).map(([site, labels]) => ({ site, labels, key: Buffer.alloc(32, 7) })),
      seed: 1,
      intervalMs: 1000,
      incidents,
      traffic: () => this.traffic,
      createAgent: simulatedAgents(),
      connect: ({ site }) => this.#connect(site),
      clock: this.#clock,
      logger: quiet,
      version: '0.1.0',
      every: (run) => {
        this.#turns.add(run);
        return () => this.#turns.delete(run);
      },
    });
    await this.#fleet.start();
    const version = { epoch: 1, n: 1 };
    const keys = sign({ type: 'keys', tenant: TENANT, version, keys: [{ id: 'k1', publicKey: x }] });
    for (const [site, labels] of Object.entries(sites))
      this.#tell(site, [keys, sign({ type: 'site', tenant: TENANT, site, labels, version })]);
  }

  /** Assigns one generation of `payments` to everybody, and says so to each site. */
  assign(generation: number, spec: AllowlistSpec, probes: Assigned['probes'] = []): void {
    const digest = digestOf(spec);
    const policy = { kind: 'Allowlist', name: 'payments', tenant: TENANT } as const;
    const how = { mode: 'enforce', established: 'keep', attempt: { epoch: 1, n: 1 } } as const;
    const current: Assigned = { generation, digest, ...how, probes };
    const guard = { forbidden: [], widestCidr: null };
    const everybody = { virtualSite: 'all', selector: [], threshold: 0, seed: 's', guard };
    const assignment: Assignment = { ...everybody, current, next: null };
    this.#version += 1;
    const target = sign({
      type: 'target',
      ...policy,
      semantics: 1,
      version: { epoch: 1, n: this.#version },
      issuedAtMs: NOON,
      expiresAtMs: NOON + 86_400_000,
      absent: false,
      assignments: [assignment],
    });
    const envelopes = [sign({ type: 'spec', ...policy, generation, digest, spec }), target];
    for (const site of this.#channels.keys()) this.#tell(site, envelopes);
  }

  async pass(byMs: number): Promise<void> {
    for (let left = byMs; left > 0; left -= 100) {
      this.#ms += 100;
      for (const turn of this.#turns) turn();
      // Agents settle over several promises before time goes on.
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  reports(site: string): readonly Report[] {
    return this.#reports.get(site) ?? [];
  }

  /** The policy part of the newest report. */
  part(site: string): Report['policy'] {
    return this.reports(site).at(-1)?.policy;
  }

  /** And its word on `payments`. */
  standing(site: string) {
    return this.part(site)?.policies[0];
  }

  async stop(): Promise<void> {
    await this.#fleet?.stop();
  }

  #tell(site: string, envelopes: Envelope[]): void {
    this.#channels.get(site)?.meet();
    this.#channels.get(site)?.hear({ envelopes, whole: true });
  }

  #connect(site: string): Uplink & PolicyLink {
    return {
      ready: true,
      async start() {},
      send: async (_lane, sealed) => {
        for (const one of sealed) this.#receive(site, one);
        return { ok: true };
      },
      tell: () => undefined,
      listen: (meet, hear) => this.#channels.set(site, { meet, hear }),
      confirm: async () => ({ ok: true }),
      onReady() {},
      offsetMs: () => 0,
      backfillPerS: () => 20,
      trouble: () => null,
      async stop() {},
    };
  }

  #receive(site: string, sealed: Uint8Array): void {
    const json = splitSealed(sealed)?.json ?? Buffer.from('null');
    const report: Report = JSON.parse(Buffer.from(json).toString());
    this.#reports.set(site, [...this.reports(site), report]);
    this.ages.push(this.#clock.nowMs() - report.ts);
  }
}
