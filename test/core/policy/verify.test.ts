import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ProbeResult } from '../../../core/model/policy-report.ts';
import type { SiteEvidence, StageQuestion } from '../../../core/policy/evidence.ts';
import { verifySite, verifyStage } from '../../../core/policy/verify.ts';
import { ever, evidence, newest, question } from '../../parts/policy-evidence.ts';

const asked = question();
const codes = (said: SiteEvidence, about: StageQuestion = asked) => {
  const { verdict, reasons } = verifySite(about, said);
  return [verdict, ...reasons.map(({ code }) => code)];
};

function probed(name: 'api' | 'canary', part: Partial<ProbeResult>): SiteEvidence {
  const { probes } = newest();
  return evidence({
    newest: newest({ probes: probes.map((one) => (one.name === name ? { ...one, ...part } : one)) }),
  });
}

const began = asked.startedAtMs;
const flaws: [name: string, evidence: SiteEvidence, ...codes: string[]][] = [
  ['no report of the policy', evidence({ newest: null }), 'inconclusive', 'no-report'],
  [
    'an older target',
    evidence({ newest: newest({ seen: { epoch: 1, n: 6 } }) }),
    'inconclusive',
    'target-not-seen',
  ],
  [
    'enforcement off',
    evidence({ newest: newest({ enforcement: 'off' }) }),
    'inconclusive',
    'enforcement-off',
  ],
  ['disarmed', evidence({ newest: newest({ enforcement: 'disarmed' }) }), 'inconclusive', 'disarmed'],
  ['a phase disarmed', evidence({ newest: newest({ phase: 'disarmed' }) }), 'inconclusive', 'disarmed'],
  ['being applied', evidence({ newest: newest({ phase: 'applying' }) }), 'inconclusive', 'not-applied'],
  ['refused', evidence({ newest: newest({ phase: 'refused', reason: 'cuts hub' }) }), 'fail', 'refused'],
  ['the hub away', evidence({ newest: newest({ phase: 'hub-away' }) }), 'inconclusive', 'hub-away'],
  ['orphaned', evidence({ newest: newest({ phase: 'orphaned' }) }), 'inconclusive', 'orphaned'],
  ['withdrawn', evidence({ newest: newest({ phase: 'withdrawn' }) }), 'inconclusive', 'withdrawn'],
  ['an old generation', evidence({ newest: newest({ generation: 41 }) }), 'inconclusive', 'other-generation'],
  [
    'another digest',
    evidence({ newest: newest({ digest: 'e'.repeat(43) }) }),
    'inconclusive',
    'other-digest',
  ],
  ['another mode', evidence({ newest: newest({ mode: 'audit' }) }), 'inconclusive', 'other-mode'],
  ['drift', evidence({ newest: newest({ live: false }) }), 'inconclusive', 'not-live'],
  ['drift meanwhile', evidence(ever({ notLive: 1 })), 'inconclusive', 'was-not-live'],
  [
    'no workload',
    evidence({ newest: newest({ workloads: 0 }), appliedSinceMs: null }),
    'not-applicable',
    'not-applicable',
  ],
  ['no workload any more', evidence({ newest: newest({ workloads: 0 }) }), 'inconclusive', 'workloads-gone'],
  ['an old report', evidence({ newestReceivedAtMs: began + 580_000 }), 'inconclusive', 'stale'],
  ['an old report that came late', evidence({ newestMadeAtMs: began + 580_000 }), 'inconclusive', 'stale'],
  ['applied a moment ago', evidence({ appliedSinceMs: began + 30_000 }), 'inconclusive', 'soaking'],
  ['a hole', evidence({ missing: 2 }), 'inconclusive', 'gap'],
  ['a refused report', evidence({ quarantined: 1 }), 'inconclusive', 'quarantined'],
  ['a restart', evidence({ boots: 2 }), 'inconclusive', 'restarted'],
  ['a lost observation', evidence(ever({ lostObservations: 1 })), 'inconclusive', 'lost-observations'],
  ['a counter reset', evidence(ever({ counterEpochs: 2 })), 'inconclusive', 'counter-reset'],
  ['a counter that went down', evidence(ever({ decreases: 1 })), 'inconclusive', 'counter-decreased'],
  ['rules without room', evidence({ newest: newest({ rulesLeftOut: 1 }) }), 'inconclusive', 'left-out'],
  ['probes without room', evidence({ newest: newest({ probesLeftOut: 9 }) }), 'inconclusive', 'left-out'],
  ['a full set', evidence({ newest: newest({ fullSets: 1 }) }), 'inconclusive', 'set-full'],
  ['a set that was full', evidence(ever({ fullSets: 1 })), 'inconclusive', 'set-full'],
  ['a clock that is off', evidence({ clockOffsetMs: 600_000 }), 'inconclusive', 'clock-off'],
  ['a clock nobody compared', evidence({ clockOffsetMs: null }), 'inconclusive', 'clock-unknown'],
  [
    'hits of probes only',
    evidence({
      newest: newest({
        rules: [
          { rule: 'payments-api', hits: 0, probeHits: 9 },
          { rule: 'ledger', hits: 0, probeHits: 0 },
        ],
      }),
    }),
    'inconclusive',
    'no-traffic',
    'rule-without-traffic',
  ],
  [
    'hits from before the stage only',
    evidence({
      hitsBefore: [
        { rule: 'payments-api', hits: 30 },
        { rule: 'ledger', hits: 12 },
      ],
    }),
    'inconclusive',
    'no-traffic',
    'rule-without-traffic',
  ],
  [
    'no hit of the new rule',
    evidence({ newest: newest({ rules: [{ rule: 'ledger', hits: 12, probeHits: 0 }] }) }),
    'inconclusive',
    'rule-without-traffic',
  ],
  ['an unexpected deny', evidence({ newest: newest({ unexpectedDenies: 1 }) }), 'fail', 'unexpected-denies'],
  ['one that was counted and reset', evidence(ever({ unexpectedDenies: 1 })), 'fail', 'unexpected-denies'],
  ['a lower score', evidence({ scoreNow: 80 }), 'fail', 'score-drop'],
  ['no score', evidence({ scoreNow: null }), 'inconclusive', 'score-unknown'],
  [
    'no probe result',
    evidence({ newest: newest({ probes: [] }) }),
    'inconclusive',
    'probe-missing',
    'probe-missing',
  ],
  ['a probe from before', probed('api', { atMs: began + 900 }), 'inconclusive', 'probe-missing'],
  ['a probe from long ago', probed('api', { atMs: began + 300_000 }), 'inconclusive', 'probe-missing'],
  ['a probe of the future', probed('api', { atMs: began + 700_000 }), 'inconclusive', 'probe-missing'],
  ['a probe that could not be made', probed('api', { outcome: 'unable' }), 'inconclusive', 'probe-unable'],
  ['an allow probe refused', probed('api', { outcome: 'refused' }), 'fail', 'probe-blocked'],
  [
    'its target away',
    probed('api', { outcome: 'no-answer', control: 'no-answer' }),
    'inconclusive',
    'probe-unreachable',
  ],
  ['a deny probe connected', probed('canary', { outcome: 'connected' }), 'fail', 'probe-not-denied'],
  ['its target away, too', probed('canary', { control: 'no-answer' }), 'inconclusive', 'probe-unreachable'],
  ['refused by somebody else', probed('canary', { denyMoved: false }), 'inconclusive', 'probe-uncounted'],
  ['dropped by somebody else', probed('canary', { outcome: 'no-answer' }), 'inconclusive', 'probe-uncounted'],
  [
    'another workload untried',
    evidence({ newest: newest({ workloads: 2 }) }),
    'inconclusive',
    'probe-missing',
    'probe-missing',
  ],
];

describe('an allow probe over UDP', () => {
  const overUdp = question({ probesOverUdp: ['api'] });

  test('that met silence tells nothing, where one over TCP was blocked', () => {
    const silent = probed('api', { outcome: 'no-answer' });
    expect(codes(silent, overUdp)).toEqual(['inconclusive', 'probe-unanswered']);
    expect(codes(silent)).toEqual(['fail', 'probe-blocked']);
  });

  test('is blocked when it counts as denied, or a filter says so', () => {
    const denied = probed('api', { outcome: 'no-answer', denyMoved: true });
    expect(codes(denied, overUdp)).toEqual(['fail', 'probe-blocked']);
    expect(codes(probed('api', { outcome: 'refused' }), overUdp)).toEqual(['fail', 'probe-blocked']);
  });
});

describe('a site', () => {
  test('passes on complete, fresh evidence of the exact generation', () => {
    expect(verifySite(asked, evidence())).toEqual({ site: 'jp-tokyo-1', verdict: 'pass', reasons: [] });
  });

  test.each(flaws)('with %s does not pass, and it is named', (_name, said, ...expected) => {
    expect(codes(said)).toEqual(expected);
  });

  test('names destinations and figures in what it says', () => {
    const denied = {
      workload: 'checkout',
      direction: 'egress',
      address: '192.0.2.9',
      name: 'ledger.example',
      port: 5432,
      protocol: 'TCP',
      count: 7,
      kind: 'unexpected',
    } as const;
    const [first] = verifySite(
      asked,
      evidence({ newest: newest({ unexpectedDenies: 7, denied: [denied] }) }),
    ).reasons;
    expect(first?.text).toBe(
      '7 connections were denied that were let through before (0 allowed): checkout to ledger.example:5432/TCP',
    );
  });

  test('fails on what was denied unexpectedly also once the evidence is stale, incomplete, or the policy gone', () => {
    const denies = ever({ unexpectedDenies: 3 });
    for (const part of [
      { missing: 4, boots: 2, newestReceivedAtMs: began },
      { newest: newest({ enforcement: 'disarmed' }) },
      { newest: newest({ phase: 'withdrawn' }) },
    ])
      expect(codes(evidence({ ...denies, ...part }))).toContain('fail');
  });

  test('does not fail on the unexpected denies of an earlier stage, nor of another generation', () => {
    expect(codes(evidence({ ...ever({ unexpectedDenies: 3 }), unexpectedBefore: 3 }))).toEqual(['pass']);
    const other = newest({ generation: 41, unexpectedDenies: 9 });
    expect(codes(evidence({ newest: other }))).toEqual(['inconclusive', 'other-generation']);
  });

  test('in audit mode has to count what it would have denied, and what it would is unexpected all the same', () => {
    const audit = question({ mode: 'audit' });
    const connected = (denyMoved: boolean) => {
      const { newest: now } = probed('canary', { outcome: 'connected', denyMoved });
      return evidence({ newest: now && { ...now, mode: 'audit' } });
    };
    expect(codes(connected(true), audit)).toEqual(['pass']);
    expect(codes(connected(false), audit)).toEqual(['fail', 'probe-not-denied']);
    expect(codes({ ...connected(true), ...ever({ unexpectedDenies: 1 }) }, audit)[0]).toBe('fail');
  });

  test('is compared with the sites that have not been promoted', () => {
    const fell = evidence({ scoreNow: 80 });
    expect(codes(fell, question({ controlDrop: 12 }))).toEqual(['pass']);
    expect(codes(fell, question({ controlDrop: 8 }))).toEqual(['inconclusive', 'score-drop-elsewhere']);
    expect(codes(fell, question({ controlDrop: null }))).toEqual(['fail', 'score-drop']);
    expect(codes(evidence({ scoreNow: null }), question({ maxScoreDrop: 100 }))).toEqual(['pass']);
  });

  test('never passes on nothing at all, even if nothing is asked of it', () => {
    const lax = question({ minHits: 0, probes: [], newRules: [], soakMs: 0, maxScoreDrop: 100 });
    expect(codes(evidence({ newest: newest({ rules: [] }) }), lax)).toEqual(['inconclusive', 'no-proof']);
  });
});

describe('a stage', () => {
  const five = ['a', 'b', 'c', 'd', 'e'];
  const wanted = question({ sites: five });
  const all = five.map((site) => evidence({ site }));
  const but = (...parts: Partial<SiteEvidence>[]) => all.map((one, i) => ({ ...one, ...parts[i] }));

  test('passes when enough of its sites do, and lists the others by name', () => {
    expect(verifyStage(wanted, all)).toMatchObject({ verdict: 'pass', reasons: [], hits: 210 });
    const { verdict, reasons } = verifyStage(wanted, but({ missing: 1 }));
    expect(verdict).toBe('pass');
    expect(reasons[0]).toEqual({ code: 'unproven', text: 'no proof of 1 site: a' });
    expect(verifyStage(wanted, but({ missing: 1 }, { boots: 2 })).verdict).toBe('inconclusive');
  });

  test('takes a site that nothing is known of as open', () => {
    expect(verifyStage(wanted, all.slice(2)).verdict).toBe('inconclusive');
    expect(
      verifyStage(wanted, [...all.slice(2), evidence({ site: 'x' }), evidence({ site: 'y' })]).verdict,
    ).toBe('inconclusive');
  });

  test('fails with more failures than it may have, whatever the others show', () => {
    const failing = but(ever({ unexpectedDenies: 2 }));
    expect(verifyStage(wanted, failing)).toMatchObject({ verdict: 'fail', unexpectedDenies: 2 });
    expect(verifyStage({ ...wanted, maxFailures: 1 }, failing).verdict).toBe('pass');
  });

  test('leaves out sites that it does not apply to, and never passes with none left or none at all', () => {
    const none = { newest: newest({ workloads: 0 }), appliedSinceMs: null };
    expect(verifyStage(wanted, but(none, none)).verdict).toBe('pass');
    expect(verifyStage(wanted, but(none, none, none, none, none)).verdict).toBe('not-applicable');
    expect(verifyStage(question({ sites: [] }), [])).toMatchObject({ verdict: 'inconclusive' });
    expect(verifyStage({ ...wanted, minConclusive: 0, minHitsTotal: 0 }, []).verdict).toBe('inconclusive');
  });

  test('counts toward its total what passing sites show only', () => {
    const most = { ...wanted, minHitsTotal: 200 };
    expect(verifyStage(most, all).verdict).toBe('pass');
    const { verdict, reasons } = verifyStage(most, but({ missing: 1 }));
    expect([verdict, reasons[0]?.code]).toEqual(['inconclusive', 'too-few-hits']);
  });
});

describe('whatever the evidence', () => {
  const defects: ((said: SiteEvidence) => SiteEvidence)[] = flaws
    .filter(([name]) => !name.startsWith('no workload'))
    .map(
      ([, flaw]) =>
        (said) =>
          merge(said, flaw),
    );
  const said = fc
    .array(fc.nat(defects.length - 1), { maxLength: 4 })
    .map((picked) => picked.reduce((one, at) => defects[at]?.(one) ?? one, evidence()));

  test('a defect never makes a pass, and what does not pass says why', () => {
    fc.assert(
      fc.property(said, fc.nat(defects.length - 1), (one, at) => {
        const worse = verifySite(asked, defects[at]?.(one) ?? one);
        expect(worse.verdict).not.toBe('pass');
        expect(worse.reasons.length).toBeGreaterThan(0);
        for (const { text } of worse.reasons) expect(text.length).toBeLessThanOrEqual(300);
      }),
    );
  });

  test('less of it never makes a pass of what was none', () => {
    fc.assert(
      fc.property(said, fc.nat(removals.length - 1), (one, at) => {
        if (verifySite(asked, one).verdict === 'pass') return;
        expect(verifySite(asked, removals[at]?.(one) ?? one).verdict).not.toBe('pass');
      }),
    );
  });

  test('a stage without the evidence of a site that did not fail does not pass if it did not before', () => {
    const sites = ['a', 'b', 'c', 'd', 'e'];
    const about = question({ sites });
    fc.assert(
      fc.property(fc.array(said, { minLength: 5, maxLength: 5 }), fc.nat(4), (some, at) => {
        const before = some.map((one, i) => ({ ...one, site: sites[i] ?? '' }));
        const all = verifyStage(about, before);
        const gone = before[at];
        if (all.verdict === 'pass' || gone === undefined || verifySite(about, gone).verdict === 'fail')
          return;
        expect(
          verifyStage(
            about,
            before.filter((one) => one !== gone),
          ).verdict,
        ).not.toBe('pass');
      }),
    );
  });
});

/** Ways to know less of a site. */
const removals: ((said: SiteEvidence) => SiteEvidence)[] = [
  (one) => ({ ...one, newest: null }),
  (one) => ({ ...one, clockOffsetMs: null }),
  (one) => ({ ...one, scoreBefore: null }),
  (one) => ({ ...one, scoreNow: null }),
  (one) => ({ ...one, appliedSinceMs: null }),
  (one) => ({ ...one, newest: one.newest && { ...one.newest, rules: [] } }),
  (one) => ({ ...one, newest: one.newest && { ...one.newest, rules: one.newest.rules.slice(1) } }),
  (one) => ({ ...one, newest: one.newest && { ...one.newest, probes: [] } }),
  (one) => ({ ...one, newest: one.newest && { ...one.newest, probes: one.newest.probes.slice(1) } }),
  (one) => ({ ...one, newest: one.newest && { ...one.newest, denied: [] } }),
];

/** A flaw laid over what is there: where both speak the flaw counts. */
function merge(under: SiteEvidence, flaw: SiteEvidence): SiteEvidence {
  const plain = evidence();
  return overlay(under, flaw, plain);
}

function overlay<T extends object>(under: T, flaw: T, plain: T): T {
  const merged = { ...under };
  for (const key of keysOf(flaw))
    if (JSON.stringify(flaw[key]) !== JSON.stringify(plain[key])) merged[key] = flaw[key];
  return merged;
}

function keysOf<T extends object>(value: T): (keyof T)[] {
  const keys: (keyof T)[] = [];
  for (const key in value) keys.push(key);
  return keys;
}

test('a site that has no room for the policy says so, as why it has not seen the target', () => {
  const reason = 'too-many: the site holds 60 policies already, which is the most';
  const unheld = newest({ seen: { epoch: 1, n: 0 }, generation: 0, digest: '', phase: 'pending', reason });
  const { reasons } = verifySite(asked, evidence({ newest: unheld, appliedSinceMs: null }));
  expect(reasons[0]).toEqual({
    code: 'target-not-seen',
    text: `the site has seen target 1.0, the stage began with 1.7: ${reason}`,
  });
});
