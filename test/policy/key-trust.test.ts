import { describe, expect, it } from 'vitest';
import type { Issuer, Site } from '../../core/model/resource.ts';
import { rotateKeys } from '../../policy/commands/issue.ts';
import { type KeyTrust, keyTrust } from '../../policy/key-trust.ts';
import { NOTHING_PUBLISHED } from '../../policy/policy-facts.ts';
import { Registry } from '../../policy/registry.ts';
import { areMost } from '../../policy/trouble-words.ts';
import { NOON, siteState } from './control-parts.ts';

const version = { epoch: 1, n: 1 };
const metadata = { uid: 'x', createdAtMs: NOON, updatedAtMs: NOON, revision: 1, updatedBy: 'ada' };
const spec = { labels: {}, labelsSinceMs: NOON, keyEpoch: 1 };

/** Sites by what they say: whom they believe, that they believe nobody yet (null), or nothing of policies at all. */
function trustOf(said: readonly (string | null | undefined)[]): KeyTrust {
  const sites = said.map((_, i): [string, Site] => {
    const name = `site-${i}`;
    return [name, { apiVersion: 'plumbline.io/v1', kind: 'Site', metadata: { ...metadata, name }, spec }];
  });
  const states = said.map((id, i) => {
    const keyring = typeof id === 'string' ? { keyring: { version, ids: [id] } } : {};
    return siteState(`site-${i}`, NOON, { ...(id !== undefined && { policies: [] }), ...keyring });
  });
  return keyTrust(new Map(sites), new Map(states.map((state) => [state.site, state])), {
    ids: ['own'],
    version,
  });
}

describe('sites that refuse what the hub signs', () => {
  it('are compared with all that report policies, also those that believe nobody yet', () => {
    const one = trustOf(['foreign', null, null, null, undefined]);
    expect(one).toEqual({ distrusting: ['site-0'], reporting: 4 });
    expect(areMost(one)).toBe(false);
    expect(areMost(trustOf(['foreign', 'foreign', 'own']))).toBe(true);
  });

  it('keep keys from being rotated when they are most, and never from being revoked, which warns', () => {
    const most = trustOf(['foreign', 'foreign', 'own']);
    const registry = new Registry();
    const issuer: Issuer = {
      apiVersion: 'plumbline.io/v1',
      kind: 'Issuer',
      metadata: { ...metadata, name: 'hub' },
      spec: { epoch: 1, keys: [], keysMade: 1, keysKept: 1, generationsAbove: {} },
    };
    registry.apply({ put: issuer });
    const asked = { id: 'x', by: 'ada', role: 'admin', nowMs: NOON } as const;
    const rotated = (revoke: boolean, trust: KeyTrust) =>
      rotateKeys({ revoke }, asked, registry, { ...NOTHING_PUBLISHED, distrust: () => trust });
    expect(rotated(false, most)).toMatchObject({ ok: false, code: 'hub-behind' });
    const revoked = rotated(true, most);
    expect(revoked).toMatchObject({ ok: true, changes: [{ put: { spec: { keysMade: 2, keysKept: 1 } } }] });
    expect(revoked).toMatchObject({ warning: expect.stringMatching(/^2 of 3 sites refuse/) });
    expect(rotated(false, trustOf(['foreign', null, null]))).not.toHaveProperty('warning');
  });
});
