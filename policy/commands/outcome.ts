import { createHash } from 'node:crypto';
import type { Metadata } from '../../core/model/metadata.ts';
import type { Command, CommandResult } from '../../core/model/resource.ts';
import type { Problem, ProblemCode } from '../../core/problem.ts';
import type { Change } from '../registry.ts';
import type { Told } from '../rollout/told.ts';

type FieldErrors = NonNullable<Problem['errors']>;

/** What a command comes to: what changes, or why it is refused and what to do about it. */
export type Outcome =
  | {
      ok: true;
      effect: NonNullable<CommandResult['spec']['effect']>;
      changes: Change[];
      /** What events say of it, when its kind and effect don't. */
      told?: Told[];
      /** What whoever asked is told: what it came to, and what stays wrong though it was carried out. */
      detail?: string;
      warning?: string;
    }
  | { ok: false; code: ProblemCode; detail: string; pointer?: string; errors?: FieldErrors };

/**
 * Who asks, and when, by the log's own stamp: never by the caller's clock or this machine's, so that the same record
 * comes to the same outcome whenever and wherever it is read.
 */
export type Asked = { id: string; by: string; role: Command['role']; nowMs: number };

/** The most resources of a kind, so that every role can hold them all in memory. */
export const MOST = { Site: 100_000, VirtualSite: 1_000, Token: 1_000, Allowlist: 1_000 } as const;

/** `pointer` is the field of the document that is at fault, when it is one; `errors` are all where there may be more. */
export function refuse(code: ProblemCode, detail: string, pointer?: string, errors?: FieldErrors): Outcome {
  return {
    ok: false,
    code,
    detail,
    ...(pointer !== undefined && { pointer }),
    ...(errors !== undefined && { errors }),
  };
}

export function full(kind: keyof typeof MOST, noun: string): Outcome {
  return refuse(
    'too-large',
    `the hub holds ${MOST[kind]} ${noun} already, which is the most; delete one that is not needed first`,
  );
}

/** Metadata of a resource after a change; `before` is null for a new one, whose uid follows from the command's id. */
export function stamp(name: string, asked: Omit<Asked, 'role'>, before: Metadata | null): Metadata {
  if (before !== null)
    return { ...before, updatedAtMs: asked.nowMs, updatedBy: asked.by, revision: before.revision + 1 };
  const digest = createHash('sha256').update(`${asked.id}\0${name}`).digest('hex');
  return {
    name,
    uid: `${digest.slice(0, 8)}-${digest.slice(8, 12)}-${digest.slice(12, 16)}-${digest.slice(16, 20)}-${digest.slice(20, 32)}`,
    createdAtMs: asked.nowMs,
    updatedAtMs: asked.nowMs,
    revision: 1,
    updatedBy: asked.by,
  };
}
