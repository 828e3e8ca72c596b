import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createGatewayUplink } from '../../../adapters/gateway/uplink.ts';
import { ensureAuthority } from '../../../adapters/tls/authority.ts';
import { systemClock } from '../../../core/ports/clock.ts';
import type { Documents, PolicyLink } from '../../../core/ports/policy-link.ts';
import type { Uplink } from '../../../core/ports/uplink.ts';
import { echoProof, keyFrom } from '../../../core/seal.ts';
import { type HubSide, startHubSide } from './hub-side.ts';

const key = randomBytes(32);
const site = 'jp-tokyo-1';
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const HOLDINGS = {
  targets: [{ key: 'default/Keys', version: { epoch: 1, n: 3 } }],
  specs: ['default/Allowlist/a/1'],
};
let hub: HubSide;
let uplink: (Uplink & PolicyLink) | null;
/** What the hub answers to an echo. */
let answer: RequestListener;
let sockets: Set<unknown>;

beforeEach(async () => {
  uplink = null;
  sockets = new Set();
  answer = honest(key);
  hub = await startHubSide({ key, site, onRequest: (request, response) => answer(request, response) });
});
afterEach(async () => {
  await uplink?.stop();
  await hub.stop();
});

function connect(url = hub.url, ca: string | null = null): Uplink & PolicyLink {
  uplink = createGatewayUplink({
    url,
    site,
    key,
    ca,
    instance: 'instance-1',
    clock: systemClock,
    logger: quiet,
    timing: { backoffMinMs: 10, backoffMaxMs: 40 },
  });
  return uplink;
}

/** The hub's own answer, by who has the key. */
function honest(secret: Buffer): RequestListener {
  return async (request: IncomingMessage, response) => {
    sockets.add(request.socket);
    const { nonce } = JSON.parse(await text(request));
    const isIt = request.method === 'POST' && request.url === `/api/v1/sites/${site}/echo`;
    response.statusCode = isIt ? 200 : 404;
    response.end(JSON.stringify({ proof: echoProof(keyFrom(secret), site, nonce) }));
  };
}

describe('policy on a channel', () => {
  it('begins with what the site holds, on every fresh one, and brings documents', async () => {
    const heard: Documents[] = [];
    const link = connect();
    link.listen(
      () => HOLDINGS,
      (documents) => heard.push(documents),
    );
    await link.start();
    await expect.poll(() => hub.holdings.length).toBe(1);
    expect(hub.holdings[0]).toEqual({ type: 'have', ...HOLDINGS });
    const envelope = { keyId: 'k1', signature: 'A'.repeat(86), payload: '{}' };
    hub.say(JSON.stringify({ type: 'documents', envelopes: [envelope], whole: true }));
    await expect.poll(() => heard).toEqual([{ envelopes: [envelope], whole: true }]);
    hub.cut();
    await expect.poll(() => hub.holdings.length).toBe(2);
  });

  it('is told anew what the site holds, where there is a channel', async () => {
    const link = connect();
    link.listen(
      () => HOLDINGS,
      () => undefined,
    );
    link.tell({ targets: [], specs: [] });
    await link.start();
    await expect.poll(() => hub.holdings.length).toBe(1);
    await expect.poll(() => link.ready).toBe(true);
    link.tell({ targets: [], specs: ['default/Allowlist/b/1'] });
    await expect.poll(() => hub.holdings.length).toBe(2);
    expect(hub.holdings[1]).toEqual({ type: 'have', targets: [], specs: ['default/Allowlist/b/1'] });
  });

  it('is not asked for where nobody obeys it', async () => {
    const link = connect();
    await link.start();
    await expect.poll(() => link.ready).toBe(true);
    expect(hub.holdings).toEqual([]);
  });
});

describe('a confirmation', () => {
  it('comes over a connection of its own each time', async () => {
    const link = connect();
    expect(await link.confirm(10_000)).toEqual({ ok: true });
    expect(await link.confirm(10_000)).toEqual({ ok: true });
    expect(sockets.size).toBe(2);
  });

  it('waits for a hub that answers late', async () => {
    let asked = 0;
    answer = (request, response) => {
      asked += 1;
      if (asked >= 3) return honest(key)(request, response);
      response.statusCode = 503;
      response.end();
    };
    expect(await connect().confirm(30_000)).toEqual({ ok: true });
    expect(asked).toBe(3);
  });

  it('fails in time when nothing listens there, and tells when somebody does who does not answer', async () => {
    const gone = await startHubSide({ key, site });
    const { url } = gone;
    await gone.stop();
    expect(await connect(url).confirm(300)).toMatchObject({ ok: false, code: 'unreachable' });
    answer = () => undefined;
    expect(await connect().confirm(300)).toMatchObject({ ok: false, code: 'unanswered' });
  });

  it('that fails says whether the channel of before has lasted, and brought word of the hub meanwhile', async () => {
    answer = () => undefined;
    const link = connect();
    link.listen(
      () => HOLDINGS,
      () => undefined,
    );
    expect(await link.confirm(50)).toMatchObject({ isHubThere: false });
    await link.start();
    await expect.poll(() => hub.holdings.length).toBe(1);
    expect(await link.confirm(50)).toMatchObject({ isHubThere: true });
    const failed = link.confirm(1500);
    hub.cut();
    await expect.poll(() => hub.holdings.length).toBe(2);
    expect(await failed).toMatchObject({ isHubThere: false });
  });

  it('is not believed from who does not have the key', async () => {
    answer = honest(randomBytes(32));
    expect(await connect().confirm(300)).toMatchObject({ ok: false, code: 'unauthentic' });
  });

  it('goes over TLS to who has the pinned authority, and to nobody else', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'plumbline-echo-'));
    const ours = await ensureAuthority({ dir: join(dir, 'a'), hosts: ['elsewhere.example'] });
    const theirs = await ensureAuthority({ dir: join(dir, 'b'), hosts: ['127.0.0.1'] });
    rmSync(dir, { recursive: true });
    const secure = await startHubSide({ key, site, tls: ours, onRequest: honest(key) });
    try {
      expect(await connect(secure.url, ours.ca).confirm(10_000)).toEqual({ ok: true });
      expect(await connect(secure.url, theirs.ca).confirm(300)).toMatchObject({ code: 'unanswered' });
    } finally {
      await secure.stop();
    }
  });

  it('is given up when the uplink stops', async () => {
    const asked = Promise.withResolvers<void>();
    answer = () => asked.resolve();
    const link = connect();
    const confirmed = link.confirm(3_600_000);
    await asked.promise;
    await link.stop();
    expect(await confirmed).toMatchObject({ ok: false });
  });
});
