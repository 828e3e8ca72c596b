import { describe, expect, test } from 'vitest';
import { authenticate } from '../../aggregator/authenticate.ts';
import { decode } from '../../aggregator/decode.ts';
import { createRegistry } from '../../aggregator/registry.ts';
import type { LogRecord } from '../../core/ports/log.ts';
import { report } from '../parts/report.ts';
import { keyOf, MASTER, recordOf, SPOOL_MAX_AGE_MS, sealed, siteResource, viewOf } from './site.ts';

const said = report();
const site = siteResource(said.site);
const view = viewOf({ [site.key]: site.value });
const registry = createRegistry(view, MASTER);

function admit(record: LogRecord) {
  const decoded = decode(record);
  if (!decoded.ok) throw new Error(decoded.detail);
  return authenticate(decoded.value, registry, SPOOL_MAX_AGE_MS);
}

describe('authenticate', () => {
  test('lets a site speak for itself, and gives its bytes a hash', () => {
    const step = admit(recordOf(said));
    if (!step.ok) throw new Error(step.detail);
    expect(step.value.hash).toMatch(/^[\w-]{16}$/);
  });

  test('refuses an altered byte, and the key of another site', () => {
    const altered = Buffer.from(recordOf(said).value);
    altered.write('1', altered.indexOf('"missed":0') + 9);
    for (const value of [altered, sealed(said, keyOf('de-berlin-1'))])
      expect(admit(recordOf(said, { value }))).toMatchObject({
        reason: 'mac',
        claim: { boot: said.boot, seq: 1 },
      });
  });

  test('refuses a site that nobody registered, naming the command that does', () => {
    const stranger = report({ site: 'nobody' });
    expect(admit(recordOf(stranger))).toMatchObject({
      reason: 'unregistered',
      detail: expect.stringContaining('plumbline site add nobody'),
    });
  });

  test('refuses a clock that is ahead, or further behind than a spool is long', () => {
    const received = (ms: number) => admit(recordOf(said, { appendedAtMs: said.ts + ms }));
    expect(received(-20_000).ok).toBe(true);
    expect(received(-20_001)).toMatchObject({ reason: 'clock', detail: expect.stringContaining('/ts') });
    expect(received(SPOOL_MAX_AGE_MS).ok).toBe(true);
    expect(received(SPOOL_MAX_AGE_MS + 1)).toMatchObject({ reason: 'clock' });
  });

  test('follows a key epoch that is raised, and a site that is added later', () => {
    const later = report({ site: 'later-1' });
    expect(admit(recordOf(later))).toMatchObject({ reason: 'unregistered' });
    const first = siteResource('later-1');
    view.put(first.key, first.value);
    expect(admit(recordOf(later)).ok).toBe(true);
    view.put(first.key, siteResource('later-1', 2).value);
    expect(admit(recordOf(later))).toMatchObject({ reason: 'mac' });
    expect(admit(recordOf(later, { value: sealed(later, keyOf('later-1', 2)) })).ok).toBe(true);
  });
});
