import { expect, test } from 'vitest';
import { createMetrics } from '../../adapters/prometheus/metrics.ts';
import { InFlightBudget } from '../../api/gateway/budget.ts';

test('what all sites have waiting is bounded; who had to stop goes on in turn, and the overflow is counted', async () => {
  const metrics = createMetrics();
  const budget = new InFlightBudget(metrics, 100);
  const resumed: string[] = [];
  const stop = (site: string, bytes: number) => () => {
    resumed.push(site);
    budget.take(bytes);
  };
  budget.take(101);
  expect(budget.isSpent).toBe(true);
  const a = stop('a', 90);
  const gone = stop('gone', 1);
  budget.whenRoom(a);
  budget.whenRoom(a);
  budget.whenRoom(gone);
  budget.whenRoom(stop('b', 20));
  budget.whenRoom(stop('c', 1));
  budget.forget(gone);
  budget.giveBack(91);
  expect(resumed).toEqual(['a', 'b']);
  expect(budget.isSpent).toBe(true);
  budget.giveBack(20);
  expect(resumed).toEqual(['a', 'b', 'c']);
  const text = await metrics.expose();
  expect(text).toMatch(/^plumbline_gateway_in_flight_overflow_total 4$/m);
  expect(text).toMatch(/^plumbline_gateway_in_flight_bytes 101$/m);
});
