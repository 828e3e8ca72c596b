import { Compile } from 'typebox/compile';
import { describe, expect, test } from 'vitest';
import { PolicyReport } from '../../../core/model/policy-report.ts';
import { SiteState } from '../../../core/model/site-state.ts';
import { policyReport, policyStatus } from '../../parts/policy-report.ts';
import { link, report } from '../../parts/report.ts';
import { stateOf } from './arbitrary.ts';

const down = [link({ name: 'hub', protocol: 'hub' }), link({ up: false }), link({ name: 'b' })];
const broken = [{ name: 'links', ok: true, lost: 2 }];

describe('since when', () => {
  test('a penalty keeps its beginning while it lasts, and begins anew after it was gone', () => {
    const first = stateOf(report({ seq: 1, links: down }));
    const second = stateOf(report({ seq: 2, links: down }), first);
    expect(second.penalties[0]?.sinceMs).toBe(first.ts);
    const well = stateOf(report({ seq: 3 }), second);
    expect(well.penalties).toEqual([]);
    const again = stateOf(report({ seq: 4, links: down }), well);
    expect(again.penalties[0]?.sinceMs).toBe(again.ts);
  });

  test('the same kind of penalty about another link begins by itself', () => {
    const first = stateOf(report({ seq: 1, links: down }));
    const both = down.map((one) => (one.name === 'b' ? { ...one, up: false } : one));
    const second = stateOf(report({ seq: 2, links: both }), first);
    const since = new Map(second.penalties.map((one) => [one.subject, one.sinceMs]));
    expect(since).toEqual(
      new Map([
        ['payments', first.ts],
        ['b', second.ts],
      ]),
    );
  });
});

describe('a probe that lost data', () => {
  test('caps what is shown at 75 for three intervals, and not what is compared', () => {
    const states: SiteState[] = [];
    for (let seq = 1; seq <= 6; seq++) {
      const probes = seq === 1 ? { probes: broken } : {};
      states.push(stateOf(report({ seq, ...probes }), states.at(-1) ?? null));
    }
    expect(states.map((state) => state.shown)).toEqual([75, 75, 75, 75, 100, 100]);
    expect(states.map((state) => state.score)).toEqual([100, 100, 100, 100, 100, 100]);
    expect(states[0]?.caps).toEqual(['probe links lost 2 observations']);
    expect(states[4]?.caps).toEqual([]);
    expect(states.map((state) => state.probesFailingSinceMs)).toEqual([
      states[0]?.ts,
      null,
      null,
      null,
      null,
      null,
    ]);
  });

  test('says since when it fails, across reports', () => {
    const failed = [{ name: 'host', ok: false, lost: 0, error: 'no /proc' }];
    const first = stateOf(report({ seq: 1, probes: failed }));
    const second = stateOf(report({ seq: 2, probes: failed }), first);
    expect(second.probesFailingSinceMs).toBe(first.ts);
    expect(second.caps[0]).toContain('no /proc');
  });
});

test('the state has what live views show of a report', () => {
  const state = stateOf(report({ seq: 7, links: down }));
  expect(state).toMatchObject({
    seq: 7,
    cpu: 0.31,
    memory: 0.5,
    disk: 0.5,
    links: { total: 3, up: 2 },
    discovered: { 'os.type': 'linux' },
  });
});

test('has as many policies as a report can name', () => {
  const most = Reflect.get(PolicyReport.properties.policies, 'maxItems');
  const policies = Array.from({ length: Number(most) }, (_, i) => policyStatus({ name: `p-${i}` }));
  const state = stateOf(report({ policy: policyReport({ policies }) }));
  expect(state.policies?.length).toBe(68);
  expect([...Compile(SiteState).Errors(state)]).toEqual([]);
});
