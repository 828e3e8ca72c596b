import { Compile } from 'typebox/compile';
import type { FleetEvent } from '../core/model/event.ts';
import { API_VERSION, type Metadata } from '../core/model/metadata.ts';
import { Command, type CommandResult } from '../core/model/resource.ts';
import type { LogRecord } from '../core/ports/log.ts';
import { commandEvents } from './command-event.ts';
import { decide } from './commands/decide.ts';
import { type Asked, type Outcome, stamp } from './commands/outcome.ts';
import { standing, subjectOf } from './commands/subject.ts';
import { Draft } from './draft.ts';
import { NOTHING_PUBLISHED, type PolicyFacts } from './policy-facts.ts';
import type { Change, Registry } from './registry.ts';

/** How many results are kept; more are older than anyone still waits for. */
const RESULTS_KEPT = 1_000;

const validator = Compile(Command);

export type Decided = {
  changes: readonly Change[];
  events: FleetEvent[];
  outcomes: ('accepted' | 'refused' | 'repeated' | 'unreadable')[];
  unreadable: { offset: number; detail: string }[];
};

/**
 * Decides a batch of commands, each in the light of those before it. A command whose result is there already is a
 * redelivery: nothing changes, but its event is told again, since the first telling may have been cut off.
 */
export function decideBatch(
  records: readonly LogRecord[],
  registry: Registry,
  facts: PolicyFacts = NOTHING_PUBLISHED,
): Decided {
  const draft = new Draft(registry);
  const decided: Decided = { changes: draft.changes, events: [], outcomes: [], unreadable: [] };
  const results: string[] = [];
  for (const record of records) {
    const read = readCommand(record.value);
    if (!read.ok) {
      decided.unreadable.push({ offset: record.offset, detail: read.detail });
      if (read.id === null || draft.result(read.id) !== undefined) {
        decided.outcomes.push('unreadable');
        continue;
      }
      const asked = { id: read.id, by: '', nowMs: record.appendedAtMs };
      draft.add({ put: resultOf(asked, { ok: false, code: 'invalid-document', detail: read.detail }) });
      results.push(read.id);
      decided.outcomes.push('unreadable');
      continue;
    }
    const { command } = read;
    const known = draft.result(command.id);
    const result = known ?? perform(command, record.appendedAtMs, draft, facts);
    if (known === undefined) results.push(command.id);
    decided.outcomes.push(known !== undefined ? 'repeated' : result.spec.ok ? 'accepted' : 'refused');
    decided.events.push(...commandEvents(command, result));
  }
  forget(draft, registry, results);
  return decided;
}

function perform(command: Command, nowMs: number, draft: Draft, facts: PolicyFacts): CommandResult {
  const asked = { id: command.id, by: command.by, role: command.role, nowMs };
  const outcome = decide(command, asked, draft, facts);
  if (outcome.ok) for (const change of outcome.changes) draft.add(change);
  const result = resultOf(asked, outcome, standing(subjectOf(command.do), draft));
  draft.add({ put: result });
  return result;
}

/** `stands` is what the command's resource is after it. */
function resultOf(asked: Omit<Asked, 'role'>, outcome: Outcome, stands?: Metadata): CommandResult {
  return {
    apiVersion: API_VERSION,
    kind: 'CommandResult',
    metadata: stamp(asked.id, asked, null),
    spec: outcome.ok
      ? {
          ok: true,
          effect: outcome.effect,
          ...(stands !== undefined && { stands: { uid: stands.uid, revision: stands.revision } }),
          ...(outcome.told !== undefined && { told: outcome.told }),
          ...(outcome.detail !== undefined && { detail: outcome.detail }),
          ...(outcome.warning !== undefined && { warning: outcome.warning }),
        }
      : { ...outcome },
  };
}

/** Removes the oldest results beyond those kept; never one of this batch, which someone waits for. */
function forget(draft: Draft, registry: Registry, added: readonly string[]): void {
  let surplus = registry.count('CommandResult') + added.length - RESULTS_KEPT;
  for (const name of registry.resultIds()) {
    if (surplus-- <= 0) return;
    draft.add({ remove: { kind: 'CommandResult', name } });
  }
}

type ReadCommand = { ok: true; command: Command } | { ok: false; id: string | null; detail: string };

function readCommand(value: Uint8Array): ReadCommand {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(value).toString('utf8'));
  } catch {
    return { ok: false, id: null, detail: 'the command is not JSON' };
  }
  if (validator.Check(json)) return { ok: true, command: json };
  const [error] = validator.Errors(json);
  const detail = `the command is not valid at ${error?.instancePath || '/'}: ${error?.message ?? 'unknown'}; send it through the API, which says what is expected`;
  return { ok: false, id: idOf(json), detail };
}

/** A damaged command is answered when it at least says which one it is. */
function idOf(json: unknown): string | null {
  if (typeof json !== 'object' || json === null || !('id' in json)) return null;
  const { id } = json;
  return typeof id === 'string' && /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(id) ? id : null;
}
