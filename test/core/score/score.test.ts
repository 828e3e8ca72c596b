import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Link, Report } from '../../../core/model/report.ts';
import { COMPONENTS, healthState } from '../../../core/model/score.ts';
import { scoreReport } from '../../../core/score/score.ts';
import { DEFAULT_WEIGHTS } from '../../../core/score/weights.ts';
import { link, report } from '../../parts/report.ts';
import { reports } from './arbitrary.ts';

const score = (said: Report) => scoreReport(said).score ?? Number.NaN;
const hub = link({ name: 'hub', protocol: 'hub' });
const withLinks = (...links: Link[]) => report({ links: [hub, ...links] });
const lossy = (lost: number) => link({ window: { requests: 100, losses: lost, errors: 0 } });

describe('any report', () => {
  test('scores between 0 and 100, in whole points', () => {
    fc.assert(
      fc.property(reports, (said) => {
        const { score, shown, components } = scoreReport(said);
        for (const value of [score, shown, ...Object.values(components)]) {
          if (value === null) continue;
          expect(Number.isInteger(value)).toBe(true);
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(100);
        }
        expect((shown ?? 0) <= (score ?? 0)).toBe(true);
      }),
    );
  });

  test('loses exactly the points that are explained, and no more than 24 penalties explain them', () => {
    fc.assert(
      fc.property(reports, (said) => {
        const { components, losses } = scoreReport(said);
        expect(losses.length).toBeLessThanOrEqual(24);
        for (const component of COMPONENTS) {
          const points = losses.filter((one) => one.component === component).map((one) => one.points);
          const lost = points.reduce((sum, one) => sum + one, 0);
          if (components[component] === undefined) expect(points).toEqual([]);
          else expect(components[component]).toBe(Math.max(0, 100 - lost));
        }
      }),
    );
  });

  test('has its heaviest penalty first, and words for each', () => {
    fc.assert(
      fc.property(reports, (said) => {
        const { losses } = scoreReport(said);
        const points = losses.map((one) => one.points);
        expect(points).toEqual([...points].sort((a, b) => b - a));
        expect(losses.every((one) => one.observed !== '' && one.points >= 1 && one.points <= 100)).toBe(true);
      }),
    );
  });

  test('is 0.8 of its lowest component and 0.2 of the weighted mean, of those observed only', () => {
    fc.assert(
      fc.property(reports, (said) => {
        const scored = scoreReport(said);
        const observed = COMPONENTS.filter((component) => scored.components[component] !== undefined);
        if (observed.length === 0) {
          expect(scored.score).toBeNull();
          return;
        }
        const values = observed.map((component) => scored.components[component] ?? 0);
        const weights = observed.map((component) => DEFAULT_WEIGHTS[component]);
        const weight = weights.reduce((sum, one) => sum + one, 0);
        const mean = values.reduce((sum, one, i) => sum + one * (weights[i] ?? 0), 0) / weight;
        const exact = 0.8 * Math.min(...values) + 0.2 * mean;
        const capped = scored.caps.length > 0 ? Math.min(39, exact) : exact;
        expect(Math.abs((scored.score ?? 0) - capped)).toBeLessThanOrEqual(0.5 + 1e-9);
      }),
    );
  });
});

/** One figure made worse, everything else as it was. `amount` is from 0 to 1. */
const WORSE: Record<string, (said: Report, amount: number) => Report> = {
  'a link goes down': (said) => onFirstLink(said, (one) => ({ ...one, up: false })),
  'a link loses more': (said, amount) =>
    onFirstLink(said, (one) => ({
      ...one,
      window: { ...one.window, losses: more(one.window.losses, amount, one.window.requests) },
    })),
  'a link errs more': (said, amount) =>
    onFirstLink(said, (one) => ({
      ...one,
      window: { ...one.window, errors: more(one.window.errors, amount, one.window.requests) },
    })),
  'a link gets slower': (said, amount) =>
    onFirstLink(said, (one) => {
      const slower = 1 + amount * 10;
      const { p50Ms = 10, p90Ms = 10, p99Ms = 10 } = one.latency ?? {};
      return { ...one, latency: { p50Ms: p50Ms * slower, p90Ms: p90Ms * slower, p99Ms: p99Ms * slower } };
    }),
  'collections are missed': (said, amount) => ({ ...said, missed: more(said.missed, amount, 30) }),
  'a node fails': (said) =>
    said.nodes ? { ...said, nodes: { ...said.nodes, ready: Math.max(0, said.nodes.ready - 1) } } : said,
  ...onWorkloads('down', 'crashLooping', 'waitingForImage', 'outOfMemory', 'unschedulable'),
  'a critical workload is down': (said) =>
    said.workloads && said.workloads.total > 0
      ? { ...said, workloads: { ...said.workloads, criticalDown: ['checkout'] } }
      : said,
  'more drifts': (said) =>
    said.security ? { ...said, security: { ...said.security, drifted: said.security.drifted + 1 } } : said,
  'more is denied': (said, amount) =>
    said.security
      ? {
          ...said,
          security: { ...said.security, unexpectedDenies: more(said.security.unexpectedDenies, amount, 1e6) },
        }
      : said,
  'a credential nears its end': (said, amount) =>
    said.security
      ? {
          ...said,
          security: {
            ...said.security,
            credentialsExpireInDays: (said.security.credentialsExpireInDays ?? 60) - amount * 60,
          },
        }
      : said,
  'the CPU fills': onHost((host, amount) => ({
    ...host,
    cpu: { ...host.cpu, utilization: fuller(host.cpu.utilization, amount) },
  })),
  'memory fills': onHost((host, amount) => ({
    ...host,
    memory: { ...host.memory, utilization: fuller(host.memory.utilization, amount) },
  })),
  'a disk fills': onHost((host, amount) => ({
    ...host,
    disks: host.disks.map((disk) => ({ ...disk, utilization: fuller(disk.utilization, amount) })),
  })),
  'pressure rises': onHost((host, amount) => {
    const { cpuSome = 0, memorySome = 0, memoryFull = 0, ioSome = 0, ioFull = 0 } = host.pressure ?? {};
    return {
      ...host,
      pressure: {
        cpuSome: fuller(cpuSome, amount),
        memorySome: fuller(memorySome, amount),
        memoryFull: fuller(memoryFull, amount),
        ioSome: fuller(ioSome, amount),
        ioFull: fuller(ioFull, amount),
      },
    };
  }),
};

function more(value: number, amount: number, most: number): number {
  return Math.max(value, Math.round(value + (most - value) * amount));
}
function fuller(ratio: number, amount: number): number {
  return Math.min(1, ratio + (1 - ratio) * amount);
}
function onFirstLink(said: Report, change: (one: Link) => Link): Report {
  const [first, ...others] = said.links ?? [];
  return first === undefined ? said : { ...said, links: [change(first), ...others] };
}
function onHost(change: (host: NonNullable<Report['host']>, amount: number) => NonNullable<Report['host']>) {
  return (said: Report, amount: number) => (said.host ? { ...said, host: change(said.host, amount) } : said);
}
function onWorkloads(
  ...figures: ('down' | 'crashLooping' | 'waitingForImage' | 'outOfMemory' | 'unschedulable')[]
) {
  return Object.fromEntries(
    figures.map((figure) => [
      `workloads ${figure}`,
      (said: Report, amount: number): Report =>
        said.workloads
          ? {
              ...said,
              workloads: {
                ...said.workloads,
                [figure]: more(said.workloads[figure], amount, said.workloads.total),
              },
            }
          : said,
    ]),
  );
}

describe('never a better score', () => {
  test.each(Object.entries(WORSE))('when %s', (_, worsen) => {
    fc.assert(
      fc.property(reports, fc.double({ min: 0, max: 1, noNaN: true }), (said, amount) => {
        const before = scoreReport(said);
        const after = scoreReport(worsen(said, amount));
        expect(after.score ?? 0).toBeLessThanOrEqual(before.score ?? 0);
        for (const component of COMPONENTS)
          expect(after.components[component] ?? 0).toBeLessThanOrEqual(before.components[component] ?? 0);
      }),
    );
  });
});

test('more penalties than are kept are added up, so that the points still explain the component', () => {
  const { host } = report();
  if (host === undefined) throw new Error('the sample report has a host');
  const disks = Array.from({ length: 16 }, (_, i) => ({
    mount: `/${i}`,
    totalBytes: 1,
    availableBytes: 0,
    utilization: 0.8535 + i / 10_000,
    inodesUtilization: 0.8535,
  }));
  const { losses, components } = scoreReport(report({ host: { ...host, disks } }));
  expect(losses.length).toBeLessThanOrEqual(24);
  expect(losses.find((one) => one.id === 'further')).toMatchObject({
    component: 'performance',
    observed: expect.stringMatching(/^\d+ further penalties$/),
  });
  expect(components.performance).toBeGreaterThan(0);
  expect(components.performance).toBe(100 - losses.reduce((sum, one) => sum + one.points, 0));
});

describe('links', () => {
  test('that are all well cost nothing', () => {
    expect(score(withLinks(link(), link({ name: 'b' })))).toBe(100);
  });

  test('one of three down turns the site orange, and says which', () => {
    const scored = scoreReport(withLinks(link(), link({ name: 'b', up: false, lastError: 'ECONNREFUSED' })));
    expect(healthState(scored.shown)).toBe('orange');
    expect(scored.losses).toMatchObject([{ id: 'link-down', subject: 'b', component: 'connectivity' }]);
    expect(scored.losses[0]?.observed).toContain('ECONNREFUSED');
  });

  test('that lose 30% cost a fifth of the component and more, and say how many', () => {
    const scored = scoreReport(withLinks(lossy(30), link({ name: 'b' })));
    expect(scored.losses[0]?.points).toBeGreaterThanOrEqual(20);
    expect(scored.losses[0]?.observed).toBe('30% of requests lost (30 of 100)');
  });

  test('cost more the more they lose, and never more than one that is down', () => {
    const scores = [0, 1, 5, 10, 30, 60, 100].map((lost) =>
      score(withLinks(lossy(lost), link({ name: 'b' }))),
    );
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    const wrong = link({
      window: { requests: 100, losses: 100, errors: 100 },
      latency: { p50Ms: 9e5, p90Ms: 9e5, p99Ms: 9e5 },
    });
    const half = link({ ...wrong, window: { requests: 100, losses: 50, errors: 50 } });
    const down = score(withLinks(link({ up: false }), link({ name: 'b' })));
    expect(score(withLinks(wrong, link({ name: 'b' })))).toBe(down);
    expect(score(withLinks(half, link({ name: 'b' })))).toBe(down);
  });

  test('that answer with errors are seen although they are up', () => {
    const scored = scoreReport(withLinks(link({ window: { requests: 50, losses: 0, errors: 50 } })));
    expect(scored.losses).toMatchObject([{ id: 'link-errors', subject: 'payments' }]);
    expect(healthState(scored.shown)).toBe('orange');
  });

  test('are slow against their budget, or else against three times the baseline, at least 50 ms more', () => {
    const slow = (part: Partial<Link>) => scoreReport(withLinks(link(part))).losses.map((one) => one.id);
    const p = (p50Ms: number, p90Ms: number) => ({ latency: { p50Ms, p90Ms, p99Ms: p90Ms } });
    expect(slow({ ...p(10, 101), budgetMs: 100 })).toEqual(['link-latency']);
    expect(slow({ ...p(99, 100), budgetMs: 100, baselineMs: 1 })).toEqual([]);
    expect(slow({ ...p(59, 500), baselineMs: 10 })).toEqual([]);
    expect(slow({ ...p(61, 500), baselineMs: 10 })).toEqual(['link-latency']);
    expect(slow({ ...p(299, 500), baselineMs: 100 })).toEqual([]);
    expect(slow({ ...p(301, 500), baselineMs: 100 })).toEqual(['link-latency']);
  });

  test('all down cap the score, also while the hub is still reached', () => {
    for (const said of [withLinks(link({ up: false }), link({ name: 'b', up: false })), onlyHubDown()]) {
      expect(scoreReport(said).caps).toEqual(['all links are down']);
      expect(score(said)).toBeLessThanOrEqual(39);
    }
    expect(scoreReport(withLinks(link({ up: false }), link({ name: 'b' }))).caps).toEqual([]);
  });

  test('are observed with only the one to the hub, and absent with none', () => {
    expect(scoreReport(report({ links: [hub] })).components.connectivity).toBe(100);
    expect(scoreReport(report({ links: [], missed: 9 })).components).toEqual({ performance: 100 });
  });

  function onlyHubDown(): Report {
    return report({ links: [{ ...hub, up: false }] });
  }
});

describe('nodes and workloads', () => {
  const bare = { links: [hub] };
  const nodes = (total: number, ready: number) =>
    report({ ...bare, nodes: { total, ready, underPressure: 0 } });
  const none = {
    total: 10,
    down: 0,
    crashLooping: 0,
    waitingForImage: 0,
    outOfMemory: 0,
    unschedulable: 0,
    inProgress: 0,
    criticalDown: [],
  };

  test('a pool scaled to zero is no fault and nothing to observe', () => {
    expect(scoreReport(nodes(0, 0)).components.reliability).toBeUndefined();
    expect(score(nodes(0, 0))).toBe(100);
  });

  test('no node ready, most workloads down or a critical one down caps at 39', () => {
    const workloads = (part: object) => report({ ...bare, workloads: { ...none, ...part } });
    for (const said of [nodes(3, 0), workloads({ down: 6 }), workloads({ criticalDown: ['checkout'] })]) {
      expect(score(said)).toBeLessThanOrEqual(39);
      expect(scoreReport(said).caps).toHaveLength(1);
    }
    expect(scoreReport(workloads({ down: 5 })).caps).toEqual([]);
  });

  test('one node of three not ready shows, and a rollout in progress costs nothing', () => {
    expect(healthState(score(nodes(3, 2)))).toBe('orange');
    expect(score(report({ ...bare, workloads: { ...none, inProgress: 10 } }))).toBe(100);
  });
});

describe('security and performance', () => {
  const secure = {
    drifted: 0,
    rolloutInProgress: false,
    refusedGenerations: 0,
    unexpectedDenies: 0,
    findings: 0,
  };
  const losses = (security: object) =>
    scoreReport(report({ security: { ...secure, ...security } })).losses.map((one) => one.id);

  test('drift costs only while no rollout is on its way', () => {
    expect(losses({ drifted: 1 })).toEqual(['drift']);
    expect(losses({ drifted: 1, rolloutInProgress: true })).toEqual([]);
  });

  test('a refusal, an unexpected deny, an expiring credential and a finding each have their penalty', () => {
    expect(losses({ refusedGenerations: 1 })).toEqual(['refused-generations']);
    expect(losses({ unexpectedDenies: 1 })).toEqual(['unexpected-denies']);
    expect(losses({ credentialsExpireInDays: 3 })).toEqual(['credentials-expiry']);
    expect(losses({ credentialsExpireInDays: 30 })).toEqual([]);
    expect(losses({ findings: 1 })).toEqual(['findings']);
  });

  test('a disk costs nothing up to 85%, and is linear from there', () => {
    const points = (utilization: number) => {
      const { host } = report();
      if (host === undefined) throw new Error('the sample report has a host');
      const disks = [{ mount: '/', totalBytes: 1, availableBytes: 0, utilization }];
      return scoreReport(report({ host: { ...host, disks } })).losses[0]?.points ?? 0;
    };
    expect([0.85, 0.9, 0.95, 1].map(points)).toEqual([0, 27, 53, 80]);
  });
});
