import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../parts/process.ts';
import { DemoRun, KEY_LINES } from './demo-run.ts';

describe('the demo with simulated sites', { timeout: 400_000 }, () => {
  let demo: DemoRun | null = null;
  afterEach(async () => demo?.remove(), 60_000);

  it('says that they are, and why; plays to its end as it should, and leaves nothing', async () => {
    demo = new DemoRun('--simulated');
    expect(await demo.exit, demo.output()).toBe(0);
    const said = demo.output();
    expect(said).toContain('With simulated sites, since --simulated was asked for.');
    for (const line of KEY_LINES) expect(said).toMatch(line);
    expect(said.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(demo.leftovers()).toEqual([]);
  });

  it('leaves nothing when it is interrupted, be it twice', async () => {
    const running = new DemoRun('--simulated');
    demo = running;
    await until('it is on its way', () => running.output().includes('$ plumbline apply'), 60_000);
    expect(running.leftovers()).not.toEqual([]);
    running.interrupt();
    running.interrupt();
    expect(await running.exit).toBe(1);
    expect(running.leftovers()).toEqual([]);
  });
});
