import { expect, it } from 'vitest';
import { story } from './story.ts';

it('control that is killed at any of its writes, before or after they are durable, ends where it ends undisturbed', async () => {
  const { deaths: none, ...undisturbed } = await story(0, 0);
  expect([...none]).toEqual([]);
  expect(undisturbed.faults).toEqual([]);
  const deaths = new Set<string>();
  for (const seed of [7, 11, 23]) {
    const { deaths: died, ...disturbed } = await story(seed, 0.2);
    for (const table of died) deaths.add(table);
    expect(disturbed, `seed ${seed}`).toEqual(undisturbed);
  }
  expect([...deaths].sort()).toEqual(['resources', 'specs', 'targets']);
}, 120_000);
