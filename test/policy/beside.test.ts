import { describe, expect, it } from 'vitest';
import type { StageQuestion } from '../../core/policy/evidence.ts';
import { newSite, until } from './control-parts.ts';
import { allowlist, move, openPolicyParts, SITES } from './policy-parts.ts';

/** A hub whose store takes forever over what is asked about one policy, from when it is told to. */
async function openSlow(sites: Record<string, Record<string, string>>) {
  const hub = await openPolicyParts(sites);
  const { evidence } = hub.fleet;
  const slow = { policy: '', asked: 0, answer: Promise.withResolvers<void>() };
  const gather = async (question: StageQuestion) => {
    if (question.name === slow.policy) {
      slow.asked++;
      await slow.answer.promise;
    }
    return evidence.gather(question);
  };
  await hub.control({ evidence: { ...evidence, gather } });
  await hub.settle();
  return {
    ...hub,
    /** Resolves once it waits for an answer about the policy. */
    async hold(policy: string) {
      slow.policy = policy;
      await until('a question', async () => {
        if (slow.asked > 0) return true;
        hub.clock.advance(10_000);
        await hub.say(...hub.fleet.states());
        return false;
      });
    },
    async close() {
      slow.answer.resolve();
      await hub.close();
    },
    asked: () => slow.asked,
  };
}

describe('a stage that fails is rolled back', () => {
  it('while another rollout’s evidence is still being gathered', async () => {
    const hub = await openSlow({ ...SITES });
    try {
      await hub.ask(allowlist('ledger', ['ledger.example']));
      await hub.reach('awaiting-promotion', 0, 'ledger');
      await hub.ask(allowlist('payments', ['api.example']));
      await hub.reach('awaiting-promotion');
      await hub.hold('ledger');
      hub.fleet.failing.add('test-1');
      await hub.reach('rolled-back');
      expect(hub.asked()).toBe(1);
      expect(hub.rollout('ledger')?.spec.phase).toBe('awaiting-promotion');
    } finally {
      await hub.close();
    }
  });

  it('while another policy’s latecomers are asked about', async () => {
    const sites: Record<string, Record<string, string>> = { ...SITES };
    const hub = await openSlow(sites);
    try {
      await hub.ask(allowlist('ledger', ['ledger.example']));
      await hub.reach('awaiting-promotion', 0, 'ledger');
      await hub.ask(move('promote', 'ledger'));
      await hub.reach('completed', 1, 'ledger');
      await hub.ask(allowlist('payments', ['api.example']));
      await hub.reach('awaiting-promotion');
      sites['prod-3'] = { env: 'prod' };
      await hub.ask(newSite('prod-3', sites['prod-3']));
      await hub.hold('ledger');
      hub.fleet.failing.add('test-1');
      await hub.reach('rolled-back');
      expect(hub.asked()).toBe(1);
    } finally {
      await hub.close();
    }
  });
});
