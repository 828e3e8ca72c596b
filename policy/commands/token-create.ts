import { API_VERSION } from '../../core/model/metadata.ts';
import type { Command } from '../../core/model/resource.ts';
import type { Registered } from '../registry.ts';
import { type Asked, full, MOST, type Outcome, refuse, stamp } from './outcome.ts';

/** What the audit calls the administrator's own token, and the hub itself. */
const RESERVED: ReadonlySet<string> = new Set(['admin', 'control']);

type Creation = Extract<Command['do'], { verb: 'token.create' }>;

/** Lets a person or program in. A token is never changed, only deleted, so that a name in the audit means one secret. */
export function createToken(command: Creation, asked: Asked, registered: Registered): Outcome {
  if (RESERVED.has(command.name))
    return refuse(
      'bad-request',
      `${command.name} is a name of the hub's own, by which the audit would not tell who did it; choose another name`,
    );
  if (registered.token(command.name) !== undefined)
    return refuse(
      'already-exists',
      `a token named ${command.name} exists already; choose another name, or delete it first`,
    );
  if (registered.count('Token') >= MOST.Token) return full('Token', 'tokens');
  return {
    ok: true,
    effect: 'created',
    changes: [
      {
        put: {
          apiVersion: API_VERSION,
          kind: 'Token',
          metadata: stamp(command.name, asked, null),
          spec: { role: command.role, tokenHash: command.tokenHash },
        },
      },
    ],
  };
}
