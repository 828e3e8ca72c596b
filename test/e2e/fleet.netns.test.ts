import { afterAll, beforeAll, describe } from 'vitest';
import * as scenario from './fleet-scenario.ts';

describe('four sites in namespaces, on SQLite', { timeout: 200_000 }, () => {
  let fleet: scenario.Fleet;
  beforeAll(async () => {
    fleet = new scenario.Fleet();
    await fleet.start();
  }, 120_000);
  afterAll(async () => fleet?.remove(), 60_000);

  scenario.chapters(() => fleet);
});
