import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode } from '../../aggregator/decode.ts';
import { QUARANTINE_REASONS } from '../../aggregator/step.ts';
import { MAX_REPORT_BYTES } from '../../core/model/report.ts';
import { report } from '../parts/report.ts';
import { keyOf, recordOf, sealed } from './site.ts';

const said = report();
const raw = (value: Uint8Array) => decode(recordOf(said, { value }));
const saying = (value: unknown) => raw(sealed(value, keyOf(said.site)));

describe('decode', () => {
  test('gives the report and the very bytes its MAC covers', () => {
    const step = decode(recordOf(said));
    if (!step.ok) throw new Error(step.detail);
    expect(step.value.report).toEqual(said);
    expect(Buffer.from(step.value.json).toString()).toBe(JSON.stringify(said));
  });

  test('refuses what is too short to have a MAC and too long to be a report', () => {
    expect(raw(Buffer.alloc(32))).toMatchObject({ ok: false, reason: 'too-short', claim: null });
    expect(raw(Buffer.alloc(MAX_REPORT_BYTES + 1))).toMatchObject({
      ok: false,
      reason: 'too-large',
      detail: expect.stringContaining(String(MAX_REPORT_BYTES)),
    });
  });

  test('names the field that is wrong, and the fix, and keeps what the report claims to be', () => {
    const { host } = said;
    const bad = { ...said, host: { ...host, cpu: { ...host?.cpu, utilization: 1.5 } } };
    expect(saying(bad)).toMatchObject({
      reason: 'schema',
      detail: expect.stringMatching(/^\/host\/cpu\/utilization: 1\.5 is too large; use 1 or less/),
      claim: { boot: said.boot, seq: said.seq },
    });
    const { ts: _, ...untimed } = said;
    expect(saying(untimed)).toMatchObject({ reason: 'schema', detail: expect.stringContaining('"ts"') });
  });

  test('refuses bytes that are not JSON, and JSON that is no report', () => {
    expect(raw(Buffer.from(`${'m'.repeat(32)}{"v":1`))).toMatchObject({ reason: 'schema', claim: null });
    for (const value of [null, 1, [], 'x', {}]) expect(saying(value)).toMatchObject({ reason: 'schema' });
  });

  test('tells a newer version from a broken report', () => {
    expect(saying({ ...said, v: 2 })).toMatchObject({
      reason: 'version',
      detail: expect.stringContaining('/v is 2'),
    });
  });

  test('refuses a report that speaks for another site', () => {
    const other = { ...said, site: 'de-berlin-1' };
    expect(saying(other)).toMatchObject({
      reason: 'identity',
      detail: expect.stringMatching(/\/site.*de-berlin-1.*jp-tokyo-1/),
    });
  });

  test('ignores fields it does not know, so that a newer collector is heard', () => {
    expect(saying({ ...said, later: true }).ok).toBe(true);
  });

  test('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(mac)), (value) => {
        const step = raw(value);
        if (!step.ok) expect(QUARANTINE_REASONS).toContain(step.reason);
      }),
    );
    function mac(text: string): Uint8Array {
      return Buffer.from('m'.repeat(32) + text);
    }
  });

  test('is not undone by a value that pretends to be text', () => {
    for (const field of ['version', 'site', 'ts', 'v', 'prev', 'probes'])
      expect(saying({ ...said, [field]: { toString: 1, valueOf: null, toJSON: 'x' } }).ok).toBe(false);
  });

  test('never throws for a report of which any field is replaced', () => {
    const fields = fc.constantFrom(...Object.keys(said));
    fc.assert(
      fc.property(fields, fc.jsonValue(), (field, value) => {
        const step = saying({ ...said, [field]: value });
        if (!step.ok) expect(step.detail.length).toBeGreaterThan(10);
      }),
    );
  });
});
