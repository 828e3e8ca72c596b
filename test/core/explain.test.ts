import fc from 'fast-check';
import { expect, test } from 'vitest';
import { explain } from '../../core/explain.ts';
import { link, report } from '../parts/report.ts';
import { reports, stateOf } from './score/arbitrary.ts';

test('the arithmetic gives the score, and the penalties give its components', () => {
  fc.assert(
    fc.property(reports, (said) => {
      const state = stateOf(said);
      const explained = explain(state.site, state, 'heard');
      if (state.score === null) {
        expect(explained.arithmetic).toBe('nothing was observed that could be scored');
        return;
      }
      const text =
        /^0\.8 × (\d+) \((\w+), the lowest\) \+ 0\.2 × ([\d.]+) \(weighted mean\) = (\d+)(?:, capped at (\d+))?/;
      const [, low, lowest, mean, sum, capped] = text.exec(explained.arithmetic) ?? [];
      expect(Math.abs(0.8 * Number(low) + 0.2 * Number(mean) - Number(sum))).toBeLessThanOrEqual(0.501);
      expect(Number(capped ?? sum)).toBe(explained.score);
      expect(explained.components.find((one) => one.component === lowest)?.score).toBe(Number(low));
      for (const { score, penalties } of explained.components)
        expect(score).toBe(Math.max(0, 100 - penalties.reduce((lost, one) => lost + one.points, 0)));
    }),
  );
});

test('a cap is part of the arithmetic, with its reason', () => {
  const hub = link({ name: 'hub', protocol: 'hub' });
  const state = stateOf(report({ links: [hub, link({ up: false }), ...several()] }));
  const explained = explain('a', state, 'heard');
  expect(explained.arithmetic).toMatch(/, capped at 39 \(all links are down\)$/);
  expect(explained.score).toBe(39);

  function several() {
    return [link({ name: 'hub-2', protocol: 'hub' }), link({ name: 'hub-3', protocol: 'hub' })];
  }
});

test('a site that is not fresh has no score, but what was last known', () => {
  const state = stateOf(report());
  expect(explain('a', state, 'silent')).toMatchObject({
    score: null,
    shown: null,
    state: 'unknown',
    arithmetic: expect.stringMatching(/^not fresh; last known: /),
    observedAtMs: state.ts,
  });
});

test('a site that never reported says so', () => {
  expect(explain('a', null, 'unheard')).toMatchObject({
    score: null,
    components: [],
    arithmetic: 'nothing was ever reported',
  });
});
