import { beforeEach, describe, expect, it } from 'vitest';
import type { ToldTrouble, Trouble } from '../../core/model/trouble.ts';
import { type Found, Troubles } from '../../policy/troubles.ts';

const MINUTE_MS = 60_000;

describe('events of what is wrong with policy', () => {
  let kinds: string[];
  let status: { troubles: Trouble[]; told: ToldTrouble[] } | undefined;
  let troubles: Troubles;
  const store = {
    insert: async (_table: string, rows: readonly object[]) => {
      for (const row of rows) if ('kind' in row) kinds.push(String(row.kind));
    },
  };
  const restart = () => {
    troubles = new Troubles(store, status);
  };

  beforeEach(() => {
    kinds = [];
    status = undefined;
    restart();
  });

  const readOnly: Found = { code: 'read-only', severity: 'critical', detail: 'behind', remedy: 'restore' };
  const distrusted = (severity: Found['severity']): Found => ({
    code: 'key-distrusted',
    severity,
    detail: 'some refuse',
    remedy: 'the key',
  });

  async function find(nowMs: number, ...found: Found[]): Promise<void> {
    troubles.find(found, [], nowMs);
    if (await troubles.tell()) status = { troubles: [...troubles.standing], told: [...troubles.told] };
  }

  it('are two of one that comes and goes with every report, though what stands is always what is', async () => {
    for (let report = 0; report < 20; report++) {
      await find(report * 10_000, ...(report % 2 === 0 ? [readOnly] : []));
      expect(troubles.standing).toHaveLength(report % 2 === 0 ? 1 : 0);
      if (report % 3 === 0) restart();
    }
    expect(kinds).toEqual(['policy.read-only']);
    await find(200_000);
    await find(200_000 + 2 * MINUTE_MS);
    expect(kinds).toEqual(['policy.read-only', 'policy.read-only-over']);
    await find(400_000, readOnly);
    expect(kinds).toHaveLength(3);
    expect(troubles.standing).toMatchObject([{ sinceMs: 400_000 }]);
  });

  it('say once that it concerns most, however often that changes', async () => {
    const severities = ['warning', 'critical', 'warning', 'critical', 'warning', 'critical'] as const;
    for (const [i, severity] of severities.entries()) {
      await find(i * 10_000, distrusted(severity));
      restart();
    }
    expect(kinds).toEqual(['keys.distrusted', 'keys.distrusted']);
    expect(troubles.standing).toMatchObject([{ severity: 'critical', sinceMs: 0 }]);
  });

  it('know their end also after an upgrade', async () => {
    troubles = new Troubles(store, { troubles: [{ ...readOnly, sinceMs: 5 }] });
    await find(10_000, readOnly);
    await find(20_000);
    await find(20_000 + 2 * MINUTE_MS);
    expect(kinds).toEqual(['policy.read-only-over']);
  });
});
