import { afterAll, beforeAll, describe, it } from 'vitest';
import * as scenario from './fleet-scenario.ts';

describe('four sites in namespaces, on SQLite', { timeout: 200_000 }, () => {
  let fleet: scenario.Fleet;
  beforeAll(async () => {
    fleet = new scenario.Fleet();
    await fleet.start();
  }, 120_000);
  afterAll(async () => fleet?.remove(), 60_000);

  it('shows every site healthy within moments', () => scenario.allHealthy(fleet));
  it('sees 30% loss on a link, charges for it, and sees it recover', () => scenario.lossIsSeen(fleet));
  it('tells a peer that answers 500 from one that does not answer', () => scenario.failingPeerIsSeen(fleet));
  it('sees a peer that is gone, and its return', () => scenario.gonePeerIsSeen(fleet));
  it('shows real load as the kernel counts it', () => scenario.loadIsSeen(fleet));
  it('catches up after an outage without a gap and never moves live state back', () =>
    scenario.outageIsCaughtUp(fleet));
  it('shows exactly what a full spool dropped as a gap', () => scenario.droppedRangeIsAGap(fleet));
  it('accounts for every report', () => scenario.doctorIsWell(fleet));
});
