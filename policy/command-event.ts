import type { EventKind, FleetEvent } from '../core/model/event.ts';
import type { Command, CommandResult } from '../core/model/resource.ts';
import { selectorText } from '../core/selector-of.ts';
import { severityOf } from './rollout/told.ts';

type Told = Pick<FleetEvent, 'kind' | 'site' | 'virtualSite' | 'message'>;
type Wanted = Command['do'];

/**
 * The audit of a command: a function of the command and its stored result alone, so that a redelivery after a crash
 * between the two writes tells the very same events. None when nothing changed. They are of the same time, and listed by id
 * then: in the order of what the command came to.
 */
export function commandEvents(command: Command, result: CommandResult): FleetEvent[] {
  const { spec, metadata } = result;
  if (spec.ok && spec.effect === 'unchanged') return [];
  return toldOf(command, spec).map((told, i) => ({
    id: `command/${command.id}/${i}/${told.kind}`,
    atMs: metadata.createdAtMs,
    severity: !spec.ok || command.do.verb === 'delete' ? 'warning' : severityOf(told.kind),
    by: command.by,
    ...told,
  }));
}

function toldOf(command: Command, spec: CommandResult['spec']): Told[] {
  const wanted = command.do;
  if (!spec.ok) {
    const kind = 'command.refused' as const;
    const why = spec.detail ?? spec.code ?? 'no reason was kept';
    return [{ ...subject(command), kind, message: `${deedOf(wanted)} was refused: ${why}` }];
  }
  if (spec.told !== undefined) return spec.told.map((told) => ({ site: '', ...told }));
  return [accepted(command, spec.effect)];
}

function deedOf(wanted: Wanted): string {
  if (wanted.verb === 'apply' && wanted.document.kind === 'Allowlist')
    return `apply of Allowlist ${wanted.document.metadata.name}`;
  if (wanted.verb === 'delete' && wanted.kind === 'Allowlist') return `delete of Allowlist ${wanted.name}`;
  if (wanted.verb === 'rollout') return `${wanted.action} of ${wanted.kind} ${wanted.name}`;
  return wanted.verb;
}

function subject(command: Command): Pick<FleetEvent, 'site' | 'virtualSite'> {
  const wanted = command.do;
  switch (wanted.verb) {
    case 'apply':
      return {
        site: '',
        virtualSite: wanted.document.kind === 'VirtualSite' ? wanted.document.metadata.name : '',
      };
    case 'delete':
      return {
        site: wanted.kind === 'Site' ? wanted.name : '',
        virtualSite: wanted.kind === 'VirtualSite' ? wanted.name : '',
      };
    case 'token.create':
    case 'rollout':
    case 'keys.rotate':
    case 'hub.restore':
      return { site: '', virtualSite: '' };
    default:
      return { site: wanted.site, virtualSite: '' };
  }
}

const REMOVED: Record<Extract<Wanted, { verb: 'delete' }>['kind'], EventKind> = {
  Allowlist: 'policy.deleted',
  Site: 'site.removed',
  VirtualSite: 'virtual-site.deleted',
  Token: 'token.deleted',
};

function accepted(command: Command, effect: CommandResult['spec']['effect']): Told {
  const wanted = command.do;
  const tell = (kind: EventKind, message: string): Told => ({ ...subject(command), kind, message });
  switch (wanted.verb) {
    case 'apply': {
      if (wanted.document.kind === 'Allowlist') return toldByResult(wanted);
      const { metadata, spec } = wanted.document;
      const selects = `selects ${selectorText(spec) || 'every site'}`;
      return effect === 'created'
        ? tell('virtual-site.created', `virtual site ${metadata.name} was created and ${selects}`)
        : tell('virtual-site.changed', `virtual site ${metadata.name} was changed and ${selects}`);
    }
    case 'delete':
      return tell(REMOVED[wanted.kind], `${wanted.kind} ${wanted.name} was deleted`);
    case 'rollout':
    case 'keys.rotate':
    case 'hub.restore':
      return toldByResult(wanted);
    case 'site.add':
      return effect === 'created'
        ? tell('site.added', `site ${wanted.site} was registered`)
        : tell('site.invited', `a new invitation for site ${wanted.site}; the key it had is void`);
    case 'site.label':
      return tell('site.labelled', `site ${wanted.site} is now labelled ${labelText(wanted.labels)}`);
    case 'site.join':
      return tell('site.joined', `a collector joined as site ${wanted.site}`);
    case 'token.create':
      return tell('token.created', `token ${wanted.name} was created with role ${wanted.role}`);
  }
}

/** What these do depends on what was there, so that their results say it. */
function toldByResult({ verb }: Wanted): never {
  throw new Error(`the result of ${verb} says nothing of what it did`);
}

function labelText(labels: Record<string, string | null>): string {
  const changes = Object.entries(labels);
  return changes.map(([key, value]) => (value === null ? `without ${key}` : `${key}=${value}`)).join(', ');
}
