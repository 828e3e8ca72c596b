import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { join as joinHub } from '../adapters/gateway/join.ts';
import { createGatewayUplink } from '../adapters/gateway/uplink.ts';
import { createLinksProbe } from '../adapters/links/links-probe.ts';
import { createHostProbe } from '../adapters/linux/host-probe.ts';
import { openSpool } from '../adapters/sqlite/spool.ts';
import { trustAnew } from '../collectors/agent/trust-anew.ts';
import { createCollector } from '../collectors/collector.ts';
import type { Config } from '../config.ts';
import { decodeJoinToken } from '../core/join-token.ts';
import { SiteId } from '../core/model/site.ts';
import { systemClock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Spool } from '../core/ports/spool.ts';
import { sha256 } from '../core/seal.ts';
import { ensureDataDir } from './data-dir.ts';
import type { LocalHub } from './local-hub.ts';
import { composeAgent } from './policy-agent.ts';
import { SiteError } from './site-error.ts';
import { bootFileIn, spoolIn } from './site-files.ts';

/** What a site keeps of having joined. `joinedWith` is the hash of the token, so that another token joins anew. */
const Identity = Type.Object({
  site: SiteId,
  key: Type.String(),
  url: Type.String(),
  ca: Type.Union([Type.String(), Type.Null()]),
  joinedWith: Type.String(),
});
type Identity = Static<typeof Identity>;
const identityValidator = Compile(Identity);

export type RunningSite = { readonly site: string; stop(): Promise<void> };

/**
 * Starts the collector of this machine. `local` is the hub of this very process, which the collector follows wherever
 * it listens; null for a collector that stands alone. It waits for a hub that is away, until `signal`.
 */
export async function startSite(
  config: Config,
  version: string,
  logger: Logger,
  local: LocalHub | null,
  signal: AbortSignal,
): Promise<RunningSite> {
  const clock = systemClock;
  ensureDataDir(config.dataDir);
  const path = spoolIn(config.dataDir);
  const spool = openSpool({ path, maxBytes: config.spoolMaxSize, maxAgeMs: config.spoolMaxAge, logger });
  await spool.start();
  try {
    const instance = instanceOf(spool);
    const identity = await identify(spool, instance, config, logger, local, signal);
    const key = Buffer.from(identity.key, 'base64url');
    const { url, ca, site } = identity;
    const uplink = createGatewayUplink({ url, site, key, ca, instance, clock, logger });
    const agent = composeAgent({
      config,
      site,
      url,
      link: uplink,
      spool,
      clock: { nowMs: () => clock.nowMs() + (uplink.offsetMs() ?? 0), monoMs: clock.monoMs },
      logger,
    });
    const links = createLinksProbe({
      links: config.links,
      hub: { url, ...(ca !== null && { ca }) },
      intervalMs: config.interval,
      timeoutMs: config.linkTimeout,
      clock,
      keep: spool.keep,
      kept: spool.kept,
    });
    const collector = createCollector({
      site,
      kind: 'host',
      key,
      version,
      intervalMs: config.interval,
      probes: [createHostProbe({ clock }), links, agent.probe],
      spool,
      uplink,
      proposed: config.labels,
      clock,
      logger,
    });
    // Before anything else: what was confirmed is in force again, whether or not there is a hub.
    await agent.start();
    await collector.start().catch(async (error: unknown) => {
      await agent.stop();
      throw error;
    });
    return {
      site,
      async stop() {
        // First: what waits for the hub's answer must not take the end of the uplink for one.
        await agent.stop();
        await collector.stop();
        await spool.stop();
      },
    };
  } catch (error) {
    await spool.stop();
    throw error;
  }
}

function instanceOf(spool: Spool): string {
  const kept = spool.kept('instance');
  if (kept !== null) return kept;
  const instance = randomUUID();
  spool.keep('instance', instance);
  return instance;
}

function keptIdentity(spool: Spool): Identity | null {
  const kept = spool.kept('identity');
  const known: unknown = kept === null ? null : JSON.parse(kept);
  return identityValidator.Check(known) ? known : null;
}

async function identify(
  spool: Spool,
  instance: string,
  config: Config,
  logger: Logger,
  local: LocalHub | null,
  signal: AbortSignal,
): Promise<Identity> {
  const identity = keptIdentity(spool);
  if (local === null) {
    if (identity !== null && (config.join === '' || identity.joinedWith === hashOf(config.join)))
      return identity;
    if (config.join === '')
      throw new SiteError(
        'this machine has not joined a hub: run `plumbline site add NAME` at the hub, and the command that it prints here',
      );
  } else if (identity?.site === local.site && (await local.hasJoined()))
    return { ...identity, url: local.url, ca: local.ca };
  const text = local === null ? config.join : await local.invite();
  const decoded = decodeJoinToken(text);
  if (!decoded.ok) throw new SiteError(decoded.reason);
  for (let waitMs = 500; ; waitMs = Math.min(waitMs * 2, 15_000)) {
    const joined = await joinHub({ token: decoded.token, instance });
    if (joined.ok) {
      const { site, key, url, ca } = joined;
      const fresh: Identity = { site, key, url, ca, joinedWith: hashOf(text) };
      spool.countBootsFrom(joined.bootsBefore);
      trustAnew(spool, existsSync(bootFileIn(config.dataDir)));
      spool.keep('identity', JSON.stringify(fresh));
      logger.info({ site, url }, 'site.joined');
      return fresh;
    }
    if (!TEMPORARY.has(joined.code)) throw new SiteError(`${joined.detail} (${joined.code})`);
    logger.warn({ code: joined.code, detail: joined.detail, waitMs }, 'site.join-waits');
    await delay(waitMs * (0.75 + Math.random() / 2), undefined, { signal });
  }
}

/** Refusals to join that time mends. */
const TEMPORARY: ReadonlySet<string> = new Set([
  'unreachable',
  'control-away',
  'not-ready',
  'too-many-requests',
  'internal',
]);

function hashOf(token: string): string {
  return sha256(token.trim()).toString('base64url');
}
