import { describe, expect, it } from 'vitest';
import { readIncidents, SOME_INCIDENTS, troubleOf } from '../../simulator/incidents.ts';

describe('incidents', () => {
  it('are read from a word or from JSON, and refused with what is wrong', () => {
    expect(readIncidents('none')).toEqual({ ok: true, incidents: [] });
    expect(readIncidents('some')).toEqual({ ok: true, incidents: SOME_INCIDENTS });
    expect(readIncidents('[{"kind":"clock","share":0.5,"atS":1,"forS":2}]')).toMatchObject({ ok: true });
    expect(readIncidents('many')).toMatchObject({ ok: false, reason: expect.stringContaining('"some"') });
    expect(readIncidents('[{"kind":"clock","share":2,"atS":1,"forS":2}]')).toMatchObject({
      ok: false,
      reason: expect.stringContaining('/0/share'),
    });
  });

  it('meet their share of the sites, the same ones for the same seed', () => {
    const incidents = [{ kind: 'link' as const, share: 0.2, atS: 10, forS: 10 }];
    const met = (seed: number, atS: number) =>
      Array.from({ length: 2_000 }, (_, i) => `s-${i}`).filter(
        (site) => troubleOf(incidents, seed, site, atS).link !== undefined,
      );
    expect(met(1, 15).length).toBeGreaterThan(320);
    expect(met(1, 15).length).toBeLessThan(480);
    expect(met(1, 15)).toEqual(met(1, 12));
    expect(met(1, 15)).not.toEqual(met(2, 15));
    expect(met(1, 9)).toEqual([]);
    expect(met(1, 20)).toEqual([]);
  });

  it('come again when they say so', () => {
    const again = [{ kind: 'memory' as const, share: 1, atS: 10, forS: 5, everyS: 100 }];
    expect(troubleOf(again, 1, 's', 112)).toEqual({ memory: 0.4 });
    expect(troubleOf(again, 1, 's', 120)).toEqual({});
  });
});
