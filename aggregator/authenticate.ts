import { hash as digest } from 'node:crypto';
import { sealIsValid } from '../core/seal.ts';
import type { Decoded } from './decode.ts';
import type { Registry } from './registry.ts';
import { refuse, type Step } from './step.ts';

/** A report that is its site's own, with the hash that tells it from another of the same identity. */
export type Authentic = Decoded & { hash: string };

/** Second step: the site is registered, the bytes are its own, and its clock can be believed. */
export function authenticate(decoded: Decoded, registry: Registry, spoolMaxAgeMs: number): Step<Authentic> {
  const { report, record, json } = decoded;
  const registered = registry.find(report.site);
  if (registered === null)
    return refuse(
      'unregistered',
      `site "${report.site}" is not registered; add it with \`plumbline site add ${report.site}\``,
      report,
    );
  if (!sealIsValid(registered.key, decoded))
    return refuse(
      'mac',
      `the MAC does not fit the report under key epoch ${registered.keyEpoch} of "${report.site}"; it was altered, or sealed with another key: join the site again`,
      report,
    );
  const aheadMs = report.ts - record.appendedAtMs;
  if (aheadMs > 2 * report.intervalMs || -aheadMs > spoolMaxAgeMs)
    return refuse('clock', clockDetail(report.ts, aheadMs, spoolMaxAgeMs), report);
  return { ok: true, value: { ...decoded, hash: hashOf(json) } };
}

/** First 16 characters of the base64url SHA-256: 96 bits. */
export function hashOf(bytes: Uint8Array): string {
  return digest('sha256', bytes, 'base64url').slice(0, 16);
}

function clockDetail(ts: number, aheadMs: number, spoolMaxAgeMs: number): string {
  const seconds = Math.abs(Math.round(aheadMs / 1000));
  const [where, bound] =
    aheadMs > 0
      ? ['after', 'two intervals are allowed']
      : ['before', `a spool holds at most ${Math.round(spoolMaxAgeMs / 1000)} s`];
  return `/ts is ${new Date(ts).toISOString()}, ${seconds} s ${where} the hub received it (${bound}); set the site's clock`;
}
