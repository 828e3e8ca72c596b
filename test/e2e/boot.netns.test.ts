import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PolicyFleet } from '../parts/policy-fleet.ts';
import { ROOT, until } from '../parts/process.ts';

const UNIT = `${ROOT}deploy/site/plumbline-enforce.service`;
/** What the unit has for the collector's data directory. */
const DATA_DIR = '/var/lib/plumbline';
const SITE = 'site-1';
const API = { host: 'api.payments.example', port: 80 };

const documents = (nameServer: string) => `apiVersion: plumbline.io/v1
kind: VirtualSite
metadata: {name: prod}
spec: {selector: "env=prod"}
---
apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: payments}
spec:
  workloads: {matchLabels: {app: checkout}}
  egress:
    - {name: names, to: [{cidr: ${nameServer}/32, ports: [53/UDP]}]}
    - {name: api, to: ["http://${API.host}"]}
rollout:
  stages:
    - {virtualSite: prod, verify: {soak: 2s}}
`;

it('the unit is one that systemd takes without a word', () => {
  const { status, stdout, stderr } = spawnSync(
    'systemd-analyze',
    ['verify', '--man=no', '--recursive-errors=no', UNIT],
    { encoding: 'utf8' },
  );
  expect({ status, said: `${stdout}${stderr}` }).toEqual({ status: 0, said: '' });
});

describe('a site that boots without its hub', { timeout: 180_000 }, () => {
  let fleet: PolicyFleet;
  let dataDir: string;
  let bootFile: string;
  let mirror: string;

  beforeAll(async () => {
    fleet = new PolicyFleet();
    mirror = fleet.address('mirror');
    await fleet.start();
    await fleet.addSite(SITE, { env: 'prod' });
    dataDir = fleet.site(SITE).collector.dataDir;
    bootFile = join(dataDir, 'enforced.nft.json');
    await fleet.heard();
    const file = fleet.write('documents.yaml', documents(fleet.nameServer));
    const { code, said } = await fleet.cli('apply', '-f', file);
    expect(code, said).toBe(0);
    await until('it is in force', () => fleet.hasApplied(SITE, 'payments', 1));
    fleet.shop(SITE, [API, { host: mirror, port: 80 }]);
    await isHeld();
    await fleet.hub.kill('SIGKILL');
  }, 180_000);
  afterAll(async () => fleet?.remove(), 60_000);

  const isHeld = async () => {
    await fleet.meets(SITE, `${API.host}:80`, 'ok');
    await fleet.meets(SITE, `${mirror}:80`, 'refused');
  };
  /** The power fails, and nothing has started yet when it is back. */
  const powerFails = async () => {
    await fleet.site(SITE).collector.kill('SIGKILL');
    fleet.network.cable(SITE, false);
    fleet.network.nft(SITE, 'flush ruleset');
  };
  /** What systemd does with the unit, before there is a network. */
  const bootsByUnit = (): 'condition not met' | 'done' | 'failed' => {
    const unit = readFileSync(UNIT, 'utf8').replaceAll(DATA_DIR, dataDir);
    const condition = /^ConditionPathExists=(.+)$/m.exec(unit)?.[1] ?? '';
    if (!existsSync(condition)) return 'condition not met';
    const command = /^ExecStart=(.+)$/m.exec(unit)?.[1]?.split(' ') ?? [];
    const { status } = spawnSync('ip', ['netns', 'exec', fleet.site(SITE).namespace, ...command]);
    return status === 0 ? 'done' : 'failed';
  };
  const tables = () => fleet.network.ruleset(SITE).match(/^table .*$/gm) ?? [];

  it('has its rules in force before it has a network: names too, and without the collector', async () => {
    await powerFails();
    expect(bootsByUnit()).toBe('done');
    expect(fleet.network.ruleset(SITE)).toMatch(/reject/);
    fleet.network.cable(SITE, true);
    await isHeld();
    // Restarted by hand, it finds the table there.
    expect(bootsByUnit()).toBe('done');
    await isHeld();
    fleet.site(SITE).collector.start();
    const { collector } = fleet.site(SITE);
    await until('the collector has taken it over', () => collector.output().includes('policy.resumed'));
    await isHeld();
  });

  it('without the file has nothing in force until its collector starts, which has it from its own memory', async () => {
    await powerFails();
    rmSync(bootFile);
    expect(bootsByUnit()).toBe('condition not met');
    expect(tables()).toEqual([]);
    fleet.network.cable(SITE, true);
    fleet.site(SITE).collector.start();
    await isHeld();
    expect(existsSync(bootFile)).toBe(true);
  });

  it('with a damaged file has the unit fail and nothing by halves; the collector mends both', async () => {
    await powerFails();
    const whole = readFileSync(bootFile);
    truncateSync(bootFile, Math.floor(whole.length / 2));
    expect(bootsByUnit()).toBe('failed');
    expect(tables()).toEqual([]);
    fleet.network.cable(SITE, true);
    fleet.site(SITE).collector.start();
    await isHeld();
    await powerFails();
    expect(bootsByUnit()).toBe('done');
    fleet.network.cable(SITE, true);
    await isHeld();
  });

  it('with a damaged spool is held by the file, and its collector goes on from its memory', async () => {
    await powerFails();
    writeFileSync(join(dataDir, 'site', 'spool.sqlite'), 'no database at all');
    expect(bootsByUnit()).toBe('done');
    fleet.network.cable(SITE, true);
    const { collector } = fleet.site(SITE);
    collector.start();
    await until('it says so', () => collector.output().includes('spool.damaged'));
    await until('it goes on', () => collector.output().includes('policy.resumed'));
    await isHeld();
  });

  it('whose identity is damaged is held by the file, and its collector changes nothing of that', async () => {
    await powerFails();
    writeFileSync(join(dataDir, 'site', 'spool.sqlite.kept.json'), '{"half a');
    expect(bootsByUnit()).toBe('done');
    fleet.network.cable(SITE, true);
    const { collector } = fleet.site(SITE);
    collector.start();
    await until('it says so', () => collector.output().includes('spool.identity-damaged'));
    await isHeld();
    await fleet.hub.start();
    await until('its token was used', () => collector.output().includes('token-used'));
    await isHeld();
  });

  it('that has lost all of its memory and is joined anew is held by the file until its hub has spoken', async () => {
    await powerFails();
    rmSync(join(dataDir, 'site'), { recursive: true });
    expect(bootsByUnit()).toBe('done');
    fleet.network.cable(SITE, true);
    await isHeld();
    const opened = fleet.visits(SITE)[`${mirror}:80`]?.ok;
    const { code, said } = await fleet.cli('site', 'token', SITE, '-o', 'json');
    expect(code, said).toBe(0);
    const { collector } = fleet.site(SITE);
    const invitation: { token: string } = JSON.parse(said.slice(said.indexOf('{')));
    collector.start({ PLUMBLINE_JOIN: invitation.token });
    await until(
      'it is confirmed',
      () => collector.output().includes('policy.confirmed'),
      30_000,
      () => collector.output(),
    );
    expect(collector.output()).toContain('policy.memory-lost');
    expect(collector.output()).not.toContain('policy.resumed');
    await isHeld();
    expect(fleet.visits(SITE)[`${mirror}:80`]?.ok).toBe(opened);
  });
});
