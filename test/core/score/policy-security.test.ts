import { expect, test } from 'vitest';
import type { PolicyStatus } from '../../../core/model/policy-report.ts';
import { scoreReport } from '../../../core/score/score.ts';
import { policyReport, policyStatus } from '../../parts/policy-report.ts';
import { report } from '../../parts/report.ts';

const scored = (part: Partial<PolicyStatus>, more: Parameters<typeof policyReport>[0] = {}) =>
  scoreReport(report({ policy: policyReport({ policies: [policyStatus(part)], ...more }) }));
const losses = (...said: Parameters<typeof scored>) =>
  scored(...said).losses.map(({ id, points }) => `${id} ${points}`);

test('a host whose policies are in force as applied has full marks for security', () => {
  expect(scored({}).components.security).toBe(100);
});

test('a host without enforcement, or with nothing to enforce, has no security to score', () => {
  expect(scored({}, { enforcement: 'off' }).components.security).toBeUndefined();
  expect(scored({}, { policies: [] }).components.security).toBeUndefined();
  expect(scoreReport(report()).components.security).toBeUndefined();
});

test('drift costs points while a policy is in force, not while it is being applied', () => {
  expect(losses({ live: false })).toEqual(['drift 25']);
  expect(losses({ live: false, phase: 'orphaned' })).toEqual(['drift 25']);
  expect(losses({ live: false, phase: 'applying' })).toEqual([]);
});

test('a refused generation costs points', () => {
  expect(losses({ phase: 'refused', live: false })).toEqual(['refused-generations 30']);
});

test('unexpected denies cost points, and what audit would have denied does not', () => {
  expect(losses({ unexpectedDenies: 100 })).toEqual(['unexpected-denies 35']);
  expect(losses({ unexpectedDenies: 100, mode: 'audit' })).toEqual([]);
  expect(losses({ denies: 100 })).toEqual([]);
});

test("what a site's security part says is added", () => {
  const security = {
    drifted: 1,
    rolloutInProgress: false,
    refusedGenerations: 0,
    unexpectedDenies: 0,
    findings: 0,
  };
  const both = report({ security, policy: policyReport({ policies: [policyStatus({ live: false })] }) });
  expect(scoreReport(both).losses).toMatchObject([{ id: 'drift', points: 30 }]);
});
