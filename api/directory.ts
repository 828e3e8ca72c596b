import { Compile } from 'typebox/compile';
import { HubStatus, Issuer, Site, Token, VirtualSite } from '../core/model/resource.ts';
import { Allowlist, Rollout } from '../core/model/rollout.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { TableView } from '../core/ports/table.ts';
import { parseSelector, type Selector } from '../core/selector.ts';

const validators = {
  Site: Compile(Site),
  VirtualSite: Compile(VirtualSite),
  Token: Compile(Token),
  HubStatus: Compile(HubStatus),
  Allowlist: Compile(Allowlist),
  Rollout: Compile(Rollout),
  Issuer: Compile(Issuer),
};
type DirectoryKind = keyof typeof validators;

export type KnownVirtualSite = { resource: VirtualSite; selector: Selector };
/** One resource that came, changed or went. */
export type DirectoryChange = { kind: DirectoryKind; name: string };

/** Table `resources` as the api reads it: parsed once, when it changes. */
export class Directory {
  readonly sites = new Map<string, Site>();
  readonly virtualSites = new Map<string, KnownVirtualSite>();
  readonly tokens = new Map<string, Token>();
  readonly allowlists = new Map<string, Allowlist>();
  /** By their own names, see `rolloutName`. */
  readonly rollouts = new Map<string, Rollout>();
  readonly #tokensByHash = new Map<string, Token>();
  hub: HubStatus | null = null;
  issuer: Issuer | null = null;
  readonly #view: TableView;
  readonly #logger: Logger;
  readonly #listeners = new Set<(changes: readonly DirectoryChange[]) => void>();
  readonly #stop: () => void;

  constructor(view: TableView, logger: Logger) {
    this.#view = view;
    this.#logger = logger;
    for (const [key] of view.entries()) this.#read(key);
    this.#stop = view.onChange((keys) => {
      const changes = keys.flatMap((key) => this.#read(key) ?? []);
      if (changes.length > 0) for (const listener of this.#listeners) listener(changes);
    });
  }

  onChange(listener: (changes: readonly DirectoryChange[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tokenByHash(hash: string): Token | undefined {
    return this.#tokensByHash.get(hash);
  }

  close(): void {
    this.#stop();
  }

  #read(key: string): DirectoryChange | null {
    const slash = key.indexOf('/');
    const kind = key.slice(0, slash);
    const name = key.slice(slash + 1);
    if (!isDirectoryKind(kind)) return null;
    const value = this.#parse(key);
    if (kind === 'Site') keep(this.sites, name, validators.Site.Check(value) ? value : null);
    else if (kind === 'VirtualSite') keep(this.virtualSites, name, knownVirtualSite(value));
    else if (kind === 'Token') this.#keepToken(name, value);
    else if (kind === 'Allowlist')
      keep(this.allowlists, name, validators.Allowlist.Check(value) ? value : null);
    else if (kind === 'Rollout') keep(this.rollouts, name, validators.Rollout.Check(value) ? value : null);
    else if (kind === 'Issuer') this.issuer = validators.Issuer.Check(value) ? value : null;
    else this.hub = validators.HubStatus.Check(value) ? value : null;
    return { kind, name };
  }

  #keepToken(name: string, value: unknown): void {
    const before = this.tokens.get(name);
    if (before !== undefined) this.#tokensByHash.delete(before.spec.tokenHash);
    const token = validators.Token.Check(value) ? value : null;
    keep(this.tokens, name, token);
    if (token !== null) this.#tokensByHash.set(token.spec.tokenHash, token);
  }

  /** Undefined when it is gone, or can't be read: an unknown resource is treated as none, and said. */
  #parse(key: string): unknown {
    const bytes = this.#view.get(key);
    if (bytes === undefined) return undefined;
    try {
      return JSON.parse(Buffer.from(bytes).toString('utf8'));
    } catch {
      this.#logger.error({ key }, 'resource.unreadable');
      return undefined;
    }
  }
}

function isDirectoryKind(kind: string): kind is DirectoryKind {
  return Object.hasOwn(validators, kind);
}

function keep<V>(map: Map<string, V>, name: string, value: V | null): void {
  if (value === null) map.delete(name);
  else map.set(name, value);
}

/** One whose selector can't be read any more selects nobody. */
function knownVirtualSite(value: unknown): KnownVirtualSite | null {
  if (!validators.VirtualSite.Check(value)) return null;
  const parsed = parseSelector(value.spec.selector);
  return parsed.ok ? { resource: value, selector: parsed.selector } : null;
}
