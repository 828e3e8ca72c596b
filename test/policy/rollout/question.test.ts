import { describe, expect, it } from 'vitest';
import type { AllowlistSpec } from '../../../core/model/allowlist.ts';
import { stageOf, withStage } from '../../../policy/rollout/assigned.ts';
import { newRules, stageQuestion } from '../../../policy/rollout/question.ts';
import { NOON, started } from './rollout-parts.ts';

const https = { name: 'https', to: ['https://api.example'] };
const dns = { name: 'dns', to: ['udp://10.0.0.53:53'] };
const checkout: AllowlistSpec = { workloads: { matchLabels: { app: 'checkout' } }, egress: [https] };

describe('the rules that a stage has to prove', () => {
  it('are all of them where nothing ran before', () => {
    expect(newRules(checkout, null)).toEqual(['https']);
  });

  it('are those that were not there as they are now', () => {
    expect(newRules(checkout, checkout)).toEqual([]);
    expect(newRules({ ...checkout, egress: [https, dns] }, checkout)).toEqual(['dns']);
  });

  it('are all of them when they are for other workloads than before', () => {
    expect(newRules({ ...checkout, workloads: {} }, checkout)).toEqual(['https']);
    const shop = { ...checkout, namespaces: { matchLabels: { team: 'shop' } } };
    expect(newRules(shop, checkout)).toEqual(['https']);
    expect(newRules({ ...shop, namespaces: {} }, shop)).toEqual(['https']);
    expect(newRules(shop, shop)).toEqual([]);
  });
});

describe('the question about a stage', () => {
  it('says of which probes silence tells nothing', () => {
    const probes = [
      { name: 'api', to: 'https://api.example', expect: 'allow' },
      { name: 'time', to: 'udp://ntp.example:123', expect: 'allow' },
    ] as const;
    const spec = started({ strategy: { stages: [{ virtualSite: 'test', probes: [...probes] }] } });
    const begun = withStage(spec, {
      ...stageOf(spec).status,
      version: { epoch: 1, n: 1 },
      startedAtMs: NOON,
    });
    const asked = { sites: ['a'], newRules: [], minSoakMs: 0, controlDrop: null, decidedAtMs: NOON + 1 };
    expect(stageQuestion(begun, asked)).toMatchObject({
      probes: ['api', 'time'],
      probesOverUdp: ['time'],
    });
  });
});
