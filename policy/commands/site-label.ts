import { isDeepStrictEqual } from 'node:util';
import type { Command } from '../../core/model/resource.ts';
import { reservedLabel } from '../../core/site-labels.ts';
import type { Registered } from '../registry.ts';
import { type Asked, type Outcome, refuse, stamp } from './outcome.ts';
import { refuseReserved } from './site-add.ts';

type Labelling = Extract<Command['do'], { verb: 'site.label' }>;

/**
 * Makes a site's given labels exactly those of the command. `labelsSinceMs` moves only when they differ: history of
 * virtual sites reaches back to it, and saying the same thing again must not cut that off.
 */
export function labelSite(command: Labelling, asked: Asked, registered: Registered): Outcome {
  const before = registered.site(command.site);
  if (before === undefined)
    return refuse(
      'not-found',
      `there is no site named ${command.site}; \`plumbline get sites\` lists what there is`,
    );
  const reserved = reservedLabel(command.labels);
  if (reserved !== null) return refuseReserved(reserved);
  if (isDeepStrictEqual(sorted(before.spec.labels), sorted(command.labels)))
    return { ok: true, effect: 'unchanged', changes: [] };
  const spec = { ...before.spec, labels: command.labels, labelsSinceMs: asked.nowMs };
  return {
    ok: true,
    effect: 'updated',
    changes: [{ put: { ...before, metadata: stamp(command.site, asked, before.metadata), spec } }],
  };
}

function sorted(labels: Labelling['labels']): [string, string][] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}
