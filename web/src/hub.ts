/*
 * The hub's REST interface, as much as the page uses of it. A refusal is a value with the hub's stable code; `unreachable`
 * when there was no answer. Answers are taken as their shape: the hub that wrote them also serves this page.
 */

import type { RolloutDetail } from '../../core/model/policy-view.ts';
import type { Report } from '../../core/model/report.ts';
import type { RolloutAction } from '../../core/model/rollout.ts';
import type {
  SiteDetail as AnySiteDetail,
  Applied,
  EventPage,
  Ledger,
  SessionView,
  SiteHistory,
} from '../../core/model/view.ts';
import type { ProblemCode } from '../../core/problem.ts';

export type SiteDetail = Omit<AnySiteDetail, 'report' | 'ledger'> & {
  report: Report | null;
  ledger: Ledger | null;
};

export type Refusal = { ok: false; code: ProblemCode | 'unreachable'; detail: string };
export type Answer<T> = { ok: true; value: T } | Refusal;

const TIMEOUT_MS = 10_000;

export function getSession(): Promise<Answer<SessionView>> {
  return ask('GET', 'session');
}
export function signIn(proof: { code: string } | { token: string }): Promise<Answer<SessionView>> {
  return ask('POST', 'session', proof);
}
export function signOut(): Promise<Answer<null>> {
  return ask('DELETE', 'session');
}
export function getSite(id: string): Promise<Answer<SiteDetail>> {
  return ask('GET', `sites/${encodeURIComponent(id)}`);
}
export function getHistory(
  id: string,
  range: { fromMs: number; toMs: number; stepMs: number },
): Promise<Answer<SiteHistory>> {
  const query = new URLSearchParams({
    from: String(range.fromMs),
    to: String(range.toMs),
    step: String(range.stepMs),
  });
  return ask('GET', `sites/${encodeURIComponent(id)}/history?${query}`);
}
export function getEvents(wanted: {
  site?: string | undefined;
  cursor?: string | undefined;
  limit?: number;
}): Promise<Answer<EventPage>> {
  const query = new URLSearchParams();
  if (wanted.site !== undefined) query.set('site', wanted.site);
  if (wanted.cursor !== undefined) query.set('cursor', wanted.cursor);
  if (wanted.limit !== undefined) query.set('limit', String(wanted.limit));
  return ask('GET', `events?${query}`);
}

export function getRollout(name: string, stage: number | null): Promise<Answer<RolloutDetail>> {
  return ask(
    'GET',
    `rollouts/Allowlist/${encodeURIComponent(name)}${stage === null ? '' : `?stage=${stage}`}`,
  );
}
export function moveRollout(name: string, action: RolloutAction): Promise<Answer<Applied>> {
  return ask('POST', `rollouts/Allowlist/${encodeURIComponent(name)}/${action}`);
}

async function ask<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<Answer<T>> {
  try {
    const response = await fetch(`/api/v1/${path}`, {
      method,
      credentials: 'same-origin',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return { ok: true, value: JSON.parse(text === '' ? 'null' : text) };
    const problem: { code?: ProblemCode; detail?: string } = JSON.parse(text);
    return {
      ok: false,
      code: problem.code ?? 'internal',
      detail: problem.detail ?? `The hub answered with status ${response.status}.`,
    };
  } catch {
    return { ok: false, code: 'unreachable', detail: 'The hub does not answer.' };
  }
}
