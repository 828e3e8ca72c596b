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

/** A hub that signs, and a clock that stands still until told. */
export function policyWorld() {
  let ms = 0;
  let n = 0;
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const x = publicKey.export({ format: 'jwk' }).x ?? '';
  const sign = (body: SignedBody): Envelope => signBody(body, { id: 'k1', privateKey });
  const listeners = new Map<string, (documents: Documents) => void>();
  const holdings = new Map<string, () => Holdings>();
  const reports = new Map<string, Report[]>();
  const ages: number[] = [];
  const turns = new Set<() => void>();
  const fleets: Fleet[] = [];
  const clock = { nowMs: () => NOON + ms, monoMs: () => ms };

  function connect({ site }: { site: string }): Uplink & PolicyLink {
    return {
      ready: true,
      async start() {},
      async send(_lane, sealed) {
        for (const one of sealed) {
          const json = splitSealed(one)?.json ?? Buffer.from('null');
          const report: Report = JSON.parse(Buffer.from(json).toString());
          reports.set(site, [...(reports.get(site) ?? []), report]);
          ages.push(clock.nowMs() - report.ts);
        }
        return { ok: true };
      },
      listen(had, onDocuments) {
        holdings.set(site, had);
        listeners.set(site, onDocuments);
      },
      confirm: async () => ({ ok: true }),
      onReady() {},
      offsetMs: () => 0,
      backfillPerS: () => 20,
      trouble: () => null,
      async stop() {},
    };
  }

  return {
    async start(sites: Record<string, Labels>, traffic: Traffic, incidents: Incident[] = []) {
      const fleet = createFleet({
        sites: Object.entries(sites).map(([site, labels]) => ({ site, labels, key: Buffer.alloc(32, 7) })),
        seed: 1,
        intervalMs: 1000,
        incidents,
        traffic,
        createAgent: simulatedAgents(),
        connect,
        clock,
        logger: quiet,
        version: '0.1.0',
        every(run) {
          turns.add(run);
          return () => turns.delete(run);
        },
      });
      fleets.push(fleet);
      await fleet.start();
      for (const [site, labels] of Object.entries(sites))
        this.tell(site, [
          sign({
            type: 'keys',
            tenant: TENANT,
            version: { epoch: 1, n: 1 },
            keys: [{ id: 'k1', publicKey: x }],
          }),
          sign({ type: 'site', tenant: TENANT, site, labels, version: { epoch: 1, n: 1 } }),
        ]);
    },
    tell(site: string, envelopes: Envelope[]) {
      holdings.get(site)?.();
      listeners.get(site)?.({ envelopes, whole: true });
    },
    /** Assigns one generation of `payments` to everybody, and says so to each site. */
    assign(generation: number, spec: AllowlistSpec) {
      const digest = digestOf(spec);
      const policy = { kind: 'Allowlist', name: 'payments', tenant: TENANT } as const;
      const current: Assigned = { generation, digest, mode: 'enforce', probes: [], established: 'keep' };
      const guard = { forbidden: [], widestCidr: null };
      const assignment: Assignment = {
        virtualSite: 'all',
        selector: [],
        current,
        next: null,
        threshold: 0,
        seed: 's',
        guard,
      };
      const version = { epoch: 1, n: ++n };
      const envelopes = [
        sign({ type: 'spec', ...policy, generation, digest, spec }),
        sign({
          type: 'target',
          ...policy,
          semantics: 1,
          version,
          issuedAtMs: NOON,
          expiresAtMs: NOON + 86_400_000,
          absent: false,
          assignments: [assignment],
        }),
      ];
      for (const site of listeners.keys()) this.tell(site, envelopes);
    },
    async pass(byMs: number) {
      for (let left = byMs; left > 0; left -= 100) {
        ms += 100;
        for (const turn of turns) turn();
        // Agents settle over several promises before time goes on.
        for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      }
    },
    reports: (site: string) => reports.get(site) ?? [],
    /** How old each report was when it came. */
    ages,
    /** The newest report's word on `payments`. */
    standing: (site: string) => reports.get(site)?.at(-1)?.policy?.policies[0],
    part: (site: string) => reports.get(site)?.at(-1)?.policy,
    async stop() {
      for (const fleet of fleets.splice(0)) await fleet.stop();
    },
  };
}
