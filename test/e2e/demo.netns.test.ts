import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../parts/process.ts';
import { DemoRun, KEY_LINES } from './demo-run.ts';

describe('the demo with real packets', { timeout: 400_000 }, () => {
  let demo: DemoRun | null = null;
  afterEach(async () => demo?.remove(), 60_000);

  it('plays to its end as it should, at 80 columns, without colours, and leaves nothing', async () => {
    demo = new DemoRun();
    expect(await demo.exit, demo.output()).toBe(0);
    const said = demo.output();
    expect(said).toContain('With real packets: this is root');
    for (const line of KEY_LINES) expect(said).toMatch(line);
    expect(said).not.toContain('\u001b');
    expect(said.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(demo.leftovers()).toEqual([]);
  });

  it('leaves nothing when it is interrupted, and does not end well', async () => {
    const running = new DemoRun();
    demo = running;
    await until('it is on its way', () => running.output().includes('$ plumbline validate'), 60_000);
    expect(running.leftovers()).not.toEqual([]);
    running.interrupt();
    expect(await running.exit).toBe(1);
    expect(running.output()).toContain('Stopped before its end.');
    expect(running.leftovers()).toEqual([]);
  });
});
