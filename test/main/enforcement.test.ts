import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../config.ts';
import { createDisarmMarker } from '../../main/disarm-marker.ts';
import { workloadsOf } from '../../main/workloads.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plumbline-enforcement-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function load(text: string) {
  const file = join(dir, 'plumbline.yaml');
  writeFileSync(file, text);
  return loadConfig({}, file).config;
}
const workload = (text: string) => load(`enforcement: {enabled: true, workloads: [${text}]}`);

describe('enforcement in the configuration', () => {
  it('is off unless the owner turns it on', () => {
    expect(load('').enforcement).toEqual({ enabled: false, workloads: [] });
    expect(load('enforcement: {enabled: true}').enforcement).toEqual({ enabled: true, workloads: [] });
    const { confirmWindow, dnsForwarder, probePorts } = load('');
    expect({ confirmWindow, dnsForwarder, probePorts }).toEqual({
      confirmWindow: 60_000,
      dnsForwarder: 'off',
      probePorts: { from: 65_400, to: 65_499 },
    });
    expect(load('dnsForwarder: 127.0.0.1:5353').dnsForwarder).toEqual({ host: '127.0.0.1', port: 5353 });
  });

  it('binds workloads to users by name or number, and to interfaces', () => {
    const config = load(`
enforcement:
  enabled: true
  workloads:
    - {name: checkout, labels: {app: checkout}, user: root}
    - {name: search, labels: {}, user: 1234}
    - {name: guest, labels: {}, interface: veth0}`);
    expect(workloadsOf(config)).toEqual([
      { name: 'checkout', labels: { app: 'checkout' }, binding: { kind: 'user', uid: 0 } },
      { name: 'search', labels: {}, binding: { kind: 'user', uid: 1234 } },
      { name: 'guest', labels: {}, binding: { kind: 'interface', name: 'veth0' } },
    ]);
  });

  it('says where it is wrong, and how it is right', () => {
    const wrong: [text: string, message: RegExp][] = [
      ['{name: a, labels: {}}', /workload a needs either "user" or "interface"/],
      ['{name: a, labels: {}, user: x, interface: y}', /workload a needs either/],
      ['{name: a, labels: {}, user: root}, {name: a, labels: {}, user: daemon}', /the name a is taken/],
      ['{name: A, labels: {}, user: root}', /enforcement\/workloads\/0\/name/],
      ['{name: a, user: root}', /enforcement\/workloads\/0/],
    ];
    for (const [text, message] of wrong) expect(() => workload(text), text).toThrow(message);
    expect(() => load('enforcement: yes')).toThrow(/keys "enabled" and "workloads"/);
    expect(() => load('enforcement: {enabled: maybe}')).toThrow(/enforcement\/enabled.*as in enforcement:/);
    expect(() => workloadsOf(workload('{name: a, labels: {}, user: nobody-has-this}'))).toThrow(
      /workload a: there is no user "nobody-has-this"/,
    );
    expect(() =>
      workloadsOf(workload('{name: a, labels: {}, user: root}, {name: b, labels: {}, user: 0}')),
    ).toThrow(/a and b are both bound to user 0/);
    expect(() => load('probePorts: 80-90')).toThrow(/probePorts.*range of ports above 1023/);
  });
});

describe('the marker of a site that is disarmed', () => {
  it('is seen by another that watches it, and by one that is made later', async () => {
    const watching = createDisarmMarker(dir);
    const seen: boolean[] = [];
    const stop = watching.watch(() => seen.push(watching.isSet()));
    createDisarmMarker(dir).set();
    await expect.poll(() => seen.at(-1)).toBe(true);
    expect(createDisarmMarker(dir).isSet()).toBe(true);
    createDisarmMarker(dir).clear();
    await expect.poll(() => seen.at(-1)).toBe(false);
    stop();
  });
});
