import { isDeepStrictEqual } from 'node:util';
import { Compile } from 'typebox/compile';
import type { Command } from '../../core/model/resource.ts';
import { Labels } from '../../core/model/site.ts';
import { reservedLabel } from '../../core/site-labels.ts';
import type { Registered } from '../registry.ts';
import { crowded } from './crowded.ts';
import { type Asked, type Outcome, refuse, stamp } from './outcome.ts';
import { refuseReserved } from './site-add.ts';

type Labelling = Extract<Command['do'], { verb: 'site.label' }>;
const validator = Compile(Labels);

/**
 * Changes a site's given labels, on what they are now: two people who set different labels both get theirs. `labelsSinceMs` moves only when they differ: history of
 * virtual sites reaches back to it, and saying the same thing again must not cut that off.
 */
export function labelSite(command: Labelling, asked: Asked, registered: Registered): Outcome {
  const before = registered.site(command.site);
  if (before === undefined)
    return refuse(
      'not-found',
      `there is no site named ${command.site}; \`plumbline get sites\` lists what there is`,
    );
  const labels = merged(before.spec.labels, command.labels);
  const reserved = reservedLabel(labels);
  if (reserved !== null) return refuseReserved(reserved);
  if (!validator.Check(labels))
    return refuse(
      'bad-request',
      `the labels of site ${command.site} would not have the form they need: at most 64, their names as in team or example.com/team, their values of at most 63 letters, digits, "-", "_" and "."`,
      '/labels',
    );
  if (isDeepStrictEqual(sorted(before.spec.labels), sorted(labels)))
    return { ok: true, effect: 'unchanged', changes: [] };
  const spec = { ...before.spec, labels, labelsSinceMs: asked.nowMs };
  const put = { ...before, metadata: stamp(command.site, asked, before.metadata), spec };
  return crowded([put], registered, registered) ?? { ok: true, effect: 'updated', changes: [{ put }] };
}

function merged(before: Labels, changes: Labelling['labels']): Labels {
  const labels = { ...before };
  for (const [key, value] of Object.entries(changes))
    if (value === null) delete labels[key];
    else labels[key] = value;
  return labels;
}

function sorted(labels: Labels): [string, string][] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}
