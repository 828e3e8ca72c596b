import { expect, it } from 'vitest';
import { Cadence, type Subject } from '../../policy/cadence.ts';

const subject = (part: Partial<Subject> = {}): Subject => ({
  rollout: 'payments',
  stageKey: '1/0',
  showing: 0,
  ...part,
});
const tenSeconds = () => 10_000;

it('a stage is due once an interval, or ten times what it takes, and at once when it is another one', () => {
  const cadence = new Cadence();
  expect(cadence.isDue(subject(), tenSeconds, 0)).toBe(true);
  cadence.note(subject(), 500, 0);
  expect(cadence.isDue(subject(), tenSeconds, 9_999)).toBe(false);
  expect(cadence.isDue(subject(), tenSeconds, 10_000)).toBe(true);
  cadence.note(subject(), 3_000, 10_000);
  expect(cadence.isDue(subject(), tenSeconds, 39_999)).toBe(false);
  expect(cadence.isDue(subject(), tenSeconds, 40_000)).toBe(true);
  expect(cadence.isDue(subject({ stageKey: '1/1' }), tenSeconds, 11_000)).toBe(true);
  cadence.keep(() => false);
  expect(cadence.isDue(subject(), tenSeconds, 11_000)).toBe(true);
});

it('one more site that shows a fail hurries it, however dear it is, until the store must have that', () => {
  const cadence = new Cadence();
  cadence.note(subject(), 60_000, 0);
  const one = subject({ showing: 1 });
  expect(cadence.isRushed(subject(), 5_000)).toBe(false);
  expect(cadence.isRushed(one, 5_000)).toBe(true);
  expect(cadence.isDue(one, tenSeconds, 5_000)).toBe(true);
  cadence.note(one, 60_000, 5_000);
  expect(cadence.isRushed(one, 5_999)).toBe(false);
  expect(cadence.isRushed(one, 15_000)).toBe(true);
  cadence.note(one, 60_000, 15_000);
  expect(cadence.isRushed(one, 20_000)).toBe(false);
  expect(cadence.isRushed(subject({ showing: 2 }), 20_000)).toBe(true);
});

it('an owner that has looked at nothing yet hurries where a site shows a fail already', () => {
  const cadence = new Cadence();
  expect(cadence.isRushed(subject({ showing: 1 }), 0)).toBe(true);
  expect(cadence.isRushed(subject(), 0)).toBe(false);
});
