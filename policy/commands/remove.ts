import type { Command } from '../../core/model/resource.ts';
import type { Registered } from '../registry.ts';
import { type Outcome, refuse } from './outcome.ts';
import { standing } from './subject.ts';

type Removal = Extract<Command['do'], { verb: 'delete' }>;

const LISTED = {
  Site: '`plumbline get sites`',
  VirtualSite: '`plumbline get virtual-sites`',
  Token: '`plumbline get tokens`',
} as const;

/** Removes a site, a virtual site or a token. What was observed of it stays in the store until its time is over. */
export function remove({ kind, name }: Removal, registered: Registered): Outcome {
  if (standing({ kind, name }, registered) === undefined)
    return refuse('not-found', `there is no ${kind} named ${name}; ${LISTED[kind]} lists what there is`);
  return { ok: true, effect: 'deleted', changes: [{ remove: { kind, name } }] };
}
