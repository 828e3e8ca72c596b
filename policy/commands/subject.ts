import type { Metadata } from '../../core/model/metadata.ts';
import type { Command } from '../../core/model/resource.ts';
import { rolloutName } from '../../core/model/rollout.ts';
import type { Registered } from '../registry.ts';

/** The one resource that a command is about. */
export type Subject = {
  kind: 'Site' | 'VirtualSite' | 'Token' | 'Allowlist' | 'Rollout' | 'Issuer';
  name: string;
};

export function subjectOf(wanted: Command['do']): Subject {
  switch (wanted.verb) {
    case 'apply':
      return { kind: wanted.document.kind, name: wanted.document.metadata.name };
    case 'delete':
      return { kind: wanted.kind, name: wanted.name };
    case 'token.create':
      return { kind: 'Token', name: wanted.name };
    case 'rollout':
      return { kind: 'Rollout', name: rolloutName(wanted.kind, wanted.name) };
    case 'keys.rotate':
    case 'hub.restore':
      return { kind: 'Issuer', name: 'hub' };
    default:
      return { kind: 'Site', name: wanted.site };
  }
}

/** The metadata of a resource as it stands; undefined when there is none. */
export function standing({ kind, name }: Subject, registered: Registered): Metadata | undefined {
  const found = {
    Site: () => registered.site(name),
    VirtualSite: () => registered.virtualSite(name),
    Token: () => registered.token(name),
    Allowlist: () => registered.allowlist(name),
    Rollout: () => registered.rollout(name),
    Issuer: () => registered.issuer ?? undefined,
  }[kind]();
  return found?.metadata;
}
