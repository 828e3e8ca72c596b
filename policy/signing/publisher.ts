import { isDeepStrictEqual } from 'node:util';
import { type Issuer, resourceKey } from '../../core/model/resource.ts';
import { type Rollout, rolloutName } from '../../core/model/rollout.ts';
import { compareVersions, type IntentKind, type SpecBody, type Version } from '../../core/model/signed.ts';
import type { Keyring, SigningKey } from '../../core/policy/sign.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { TableEntry, TableView } from '../../core/ports/table.ts';
import type { Authority } from '../authority.ts';
import { stamp } from '../commands/outcome.ts';
import type { Leeway } from '../losses.ts';
import type { Change, Registry } from '../registry.ts';
import type { RolloutSpec } from '../rollout/assigned.ts';
import { type Issuing, issuing, keysEntries } from './issuing.ts';
import { policyEntries, versionDue } from './policy-documents.ts';
import { PublishedDocuments } from './published.ts';
import { siteEntry } from './site-documents.ts';

/** Sites that are signed for in one write; a signature takes some 50 µs, and others in this process wait for it. */
const SITES_A_WRITE = 200;
/** How often targets are looked at for those whose time runs out. */
const LOOK_AGAIN_MS = 3_600_000;
const ISSUER_KEY = resourceKey('Issuer', 'hub');

type PublisherOptions = {
  authority: Authority;
  registry: Registry;
  keyring: Keyring;
  /** What may be published, as far as that hangs on anything but the keys. */
  leeway: () => Leeway;
  clock: Clock;
  logger: Logger;
};

/**
 * Keeps tables `specs` and `targets` what table `resources` says, which is decided first: whatever is cut off on the way is
 * found again by comparing the two. A policy's specifications go out before the target that names them.
 */
export class Publisher {
  readonly documents = new PublishedDocuments();
  readonly #given: PublisherOptions;
  readonly #policies = new Set<string>();
  readonly #sites = new Set<string>();
  #isIssuerDue = true;
  #isLost = false;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #signer: SigningKey | null = null;
  #keyIds: readonly string[] = [];
  #epoch = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(given: PublisherOptions) {
    this.#given = given;
  }

  /** Whether the key that sites trust is missing, so that nothing can be signed. */
  get isKeyLost(): boolean {
    return this.#isLost;
  }

  /** Ids of the keys in the data directory, oldest first: the last one signs. */
  get keyIds(): readonly string[] {
    return this.#keyIds;
  }

  /** Everything is compared with the next `settle`. */
  load(view: TableView): void {
    this.#keyIds = idsOf(this.#given.keyring.keys(0));
    this.documents.load(view.entries());
  }

  note(changes: readonly Change[]): void {
    for (const change of changes) {
      const { kind, name } =
        'put' in change ? { kind: change.put.kind, name: change.put.metadata.name } : change.remove;
      if (kind === 'Site') this.#noteSite(name);
      else if (kind === 'Allowlist') this.#policies.add(name);
      else if (kind === 'Rollout' && 'put' in change && change.put.kind === 'Rollout')
        this.#policies.add(change.put.spec.policy.name);
      else if (kind === 'VirtualSite') this.#noteRollouts();
      else if (kind === 'Issuer') this.#isIssuerDue = true;
    }
  }

  /** What guard holds at a virtual site goes by the sites that it shares with others. */
  #noteSite(name: string): void {
    const labels = this.#given.registry.site(name)?.spec.labels;
    if (!isDeepStrictEqual(labels, this.documents.site(name)?.body.labels)) this.#noteRollouts();
    this.#sites.add(name);
  }

  #noteRollouts(): void {
    for (const { spec } of this.#given.registry.allRollouts()) this.#policies.add(spec.policy.name);
  }

  #noteAll(): void {
    const { registry } = this.#given;
    for (const name of registry.allowlists.keys()) this.#policies.add(name);
    for (const { name } of this.documents.targets()) this.#policies.add(name);
    for (const name of registry.sites.keys()) this.#sites.add(name);
    for (const { site } of this.documents.sites()) this.#sites.add(site);
  }

  /** Resolves when the tables say what the registry said at the call, or control has lost them. */
  settle(): Promise<void> {
    this.#last = this.#last.then(() => this.#settle());
    return this.#last;
  }

  async #settle(): Promise<void> {
    const { leeway, registry, clock } = this.#given;
    const nowMs = clock.nowMs();
    if (leeway() !== 'all') {
      if (leeway() === 'take-back') await this.#publishTakenBack(nowMs);
      // `restore` raises its epoch, so that there has to be one; nothing is published by it yet.
      if (registry.issuer === null && !registry.unreadable.has(ISSUER_KEY)) await this.#becomeIssuer(nowMs);
      return;
    }
    if (nowMs - this.#lookedAtMs >= LOOK_AGAIN_MS) this.#noteAll();
    if (this.#isIssuerDue || nowMs - this.#lookedAtMs >= LOOK_AGAIN_MS) {
      if (!(await this.#issue(nowMs))) return;
      this.#lookedAtMs = nowMs;
    }
    const signer = this.#signer;
    if (signer === null) return;
    for (const name of [...this.#policies]) {
      this.#policies.delete(name);
      if (await this.#publishPolicy('Allowlist', name, signer, nowMs)) continue;
      this.#policies.add(name);
      return;
    }
    await this.#publishSites(signer);
  }

  /** The issuer as the data directory has it, and the keyring for the sites. */
  async #issue(nowMs: number): Promise<boolean> {
    const { registry, logger } = this.#given;
    const issued = await this.#becomeIssuer(nowMs);
    if (issued === null) return false;
    const wasLost = this.#isLost;
    this.#isLost = !issued.ok;
    if (!issued.ok) {
      this.#signer = null;
      this.#isIssuerDue = true;
      const remedy = 'restore policy.key of the data directory from a backup; sites trust no other key';
      if (!wasLost) logger.error({ remedy }, 'policy.key.lost');
      return false;
    }
    const { issuer, signer, keys } = issued;
    if (!(await this.#write('targets', keysEntries(issuer, keys, this.documents)))) return false;
    const isNew = this.#signer?.id !== signer.id;
    this.#signer = signer;
    this.#keyIds = idsOf(keys);
    this.#isIssuerDue = false;
    // Another key, or another epoch: everything is said anew.
    if (isNew || registry.issuer?.spec.epoch !== this.#epoch) this.#noteAll();
    this.#epoch = registry.issuer?.spec.epoch ?? 1;
    return true;
  }

  /** Null when control has lost its tables. */
  async #becomeIssuer(nowMs: number): Promise<Issuing | null> {
    const { authority, registry, keyring } = this.#given;
    const made: { issued: Issuing } = { issued: { ok: false } };
    const written = await authority.decide(() => {
      made.issued = issuing(registry.issuer, keyring, nowMs);
      if (!made.issued.ok || made.issued.issuer === registry.issuer) return [];
      return [{ put: made.issued.issuer }];
    });
    return written === 'written' ? made.issued : null;
  }

  async #publishPolicy(kind: IntentKind, name: string, signer: SigningKey, nowMs: number): Promise<boolean> {
    const { authority, registry } = this.#given;
    const made: { due: ReturnType<typeof policyEntries> | null } = { due: null };
    // Worked out at one instant, so that no version ever has two contents.
    const written = await authority.decide(() => {
      const rollout = registry.rollout(rolloutName(kind, name));
      const version = rollout === undefined ? null : versionDue(rollout, registry, this.documents, nowMs);
      const redated = rollout === undefined || version === null ? null : redate(rollout, version, nowMs);
      const policy = { allowlist: registry.allowlist(name), rollout: redated ?? rollout };
      made.due = policyEntries(kind, name, policy, registry, this.documents, signer, nowMs);
      const changes: Change[] = redated === null ? [] : [{ put: redated }];
      const isSaid = this.documents.target(kind, name)?.body.absent !== false;
      const isOver = policy.allowlist !== undefined || (isSaid && made.due.targets.length === 0);
      return isOver ? [...changes, ...forgetWithdrawal(kind, name, registry.issuer, nowMs)] : changes;
    });
    if (written !== 'written' || made.due === null) return false;
    return (
      (await this.#write('specs', made.due.specs)) &&
      (await this.#write('targets', made.due.targets)) &&
      (await this.#write('specs', made.due.obsolete))
    );
  }

  /** What is rolled back, and nothing else, by the key that its sites were told of last. */
  async #publishTakenBack(nowMs: number): Promise<void> {
    const { registry, keyring } = this.#given;
    const isDue = ({ phase, policy, version }: RolloutSpec) => {
      const published = this.documents.target(policy.kind, policy.name)?.body.version;
      return phase === 'rolled-back' && published !== undefined && compareVersions(published, version) < 0;
    };
    const due = [...registry.allRollouts()].filter(({ spec }) => isDue(spec));
    if (due.length === 0) return;
    const id = registry.issuer?.spec.keys.at(-1)?.id;
    const signer = keyring.keys(0).find((key) => key.id === id);
    if (signer === undefined) return;
    for (const { spec } of due)
      if (!(await this.#publishPolicy(spec.policy.kind, spec.policy.name, signer, nowMs))) return;
  }

  async #publishSites(signer: SigningKey): Promise<void> {
    const { registry } = this.#given;
    while (this.#sites.size > 0) {
      const names = [...this.#sites].slice(0, SITES_A_WRITE);
      for (const name of names) this.#sites.delete(name);
      const epoch = registry.issuer?.spec.epoch ?? 1;
      const entries = names.flatMap((name) =>
        registry.unreadable.has(resourceKey('Site', name))
          ? []
          : (siteEntry(name, registry.site(name), this.documents.site(name), epoch, signer) ?? []),
      );
      if (!(await this.#write('targets', entries))) {
        for (const name of names) this.#sites.add(name);
        return;
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  async #write(table: 'specs' | 'targets', entries: readonly TableEntry[]): Promise<boolean> {
    if (entries.length === 0) return true;
    const written = await this.#given.authority.publish(table, entries);
    if (written === 'written') this.documents.apply(entries);
    return written === 'written';
  }

  /** The content of a generation, as it was published. */
  spec(kind: IntentKind, name: string, generation: number): SpecBody | null {
    return this.documents.spec(kind, name, generation)?.body ?? null;
  }
}

function idsOf(keys: readonly SigningKey[]): string[] {
  return keys.map(({ id }) => id);
}

/** A deletion that was published, or taken back, is not remembered: what is lost later was not deleted. */
function forgetWithdrawal(kind: IntentKind, name: string, issuer: Issuer | null, nowMs: number): Change[] {
  const policy = `${kind}/${name}`;
  if (issuer?.spec.withdrawn?.includes(policy) !== true) return [];
  const withdrawn = issuer.spec.withdrawn.filter((one) => one !== policy);
  const by = { id: issuer.metadata.name, by: 'control', nowMs };
  const metadata = stamp(issuer.metadata.name, by, issuer.metadata);
  return [{ put: { ...issuer, metadata, spec: { ...issuer.spec, withdrawn } } }];
}

/** A target that is issued for another reason than a step of its rollout, as a virtual site's selector, has a version for that. */
function redate(rollout: Rollout, version: Version, nowMs: number): Rollout {
  const by = { id: rollout.metadata.name, by: 'control', nowMs };
  const metadata = stamp(rollout.metadata.name, by, rollout.metadata);
  return { ...rollout, metadata, spec: { ...rollout.spec, version } };
}
