import { signBody } from '../../../core/policy/sign.ts';
import type { ReasonCode } from '../../../core/policy/verification/reasons.ts';
import { addressesOf } from '../../../simulator/policy/names.ts';
import { makeKey } from '../../collectors/agent/scripted-hub.ts';
import { NARROW, type StagedSite } from './staged-site.ts';

/**
 * A way in which a stage must not pass. `prepare` is done before the site starts; `act` each interval from the moment of the
 * sabotage on, with the intervals since then. One of `named` has to be among the reasons.
 */
export type Way = {
  name: string;
  named: readonly ReasonCode[];
  prepare?: (site: StagedSite) => void;
  act?: (site: StagedSite, since: number) => void | Promise<void>;
};

const API = addressesOf('api.payments.example');
const CANARY = addressesOf('canary.example');
const once = (act: (site: StagedSite) => void | Promise<void>) => (site: StagedSite, since: number) =>
  since === 0 ? act(site) : undefined;

/** What is done to the dataplane under the agent. */
export const DATAPLANE: readonly Way[] = [
  { name: 'table flushed, put back', named: ['was-not-live'], act: once((s) => s.plane.sabotage('flushed')) },
  {
    name: 'table flushed each interval',
    named: ['not-live', 'was-not-live'],
    act: (s) => s.plane.sabotage('flushed'),
  },
  {
    name: 'chain unhooked, put back',
    named: ['was-not-live'],
    act: once((s) => s.plane.sabotage('unhooked')),
  },
  {
    name: 'chain unhooked each interval',
    named: ['not-live', 'was-not-live'],
    act: (s) => s.plane.sabotage('unhooked'),
  },
  {
    name: 'an earlier accept shadows the rules',
    named: ['was-not-live'],
    act: once((s) => s.plane.sabotage('shadowed')),
  },
  {
    name: 'an earlier accept each interval',
    named: ['not-live', 'was-not-live'],
    act: (s) => s.plane.sabotage('shadowed'),
  },
  { name: 'name set emptied', named: ['was-not-live'], act: once((s) => s.plane.sabotage('emptied')) },
  {
    name: 'name set emptied, and the read-back does not see it',
    named: ['unexpected-denies', 'probe-blocked'],
    act: once((s) => s.plane.sabotage('emptied', true)),
  },
  { name: 'the last deny is gone', named: ['was-not-live'], act: once((s) => s.plane.sabotage('deny-gone')) },
  {
    name: 'the last deny is gone, and the read-back does not see it',
    named: ['probe-not-denied', 'probe-missing'],
    act: (s) => s.plane.sabotage('deny-gone', true),
  },
  {
    name: 'another process edits the table each interval, something else each time',
    named: ['not-live', 'was-not-live'],
    act: (s, since) =>
      s.plane.sabotage((['shadowed', 'unhooked', 'emptied'] as const)[since % 3] ?? 'flushed'),
  },
  {
    name: 'dynamic set full for one interval',
    named: ['set-full'],
    act: (s, since) => {
      s.plane.faults.full = since === 0;
    },
  },
  {
    name: 'dynamic set full from the start',
    named: ['set-full'],
    prepare: (s) => {
      s.plane.faults.full = true;
    },
  },
  {
    name: 'counters reset',
    named: ['counter-reset', 'counter-decreased'],
    act: once((s) => s.plane.resetCounters()),
  },
  {
    name: 'counters reset each interval',
    named: ['counter-reset', 'no-traffic'],
    act: (s) => s.plane.resetCounters(),
  },
  {
    name: 'counters reset and traffic stops',
    named: ['counter-reset', 'no-traffic'],
    act: once(async (s) => {
      await s.plane.resetCounters();
      Object.assign(s.traffic, { api: false, ledger: false });
    }),
  },
  {
    name: 'read-back fails once',
    named: ['not-live', 'was-not-live', 'lost-observations'],
    act: (s, since) => {
      s.plane.faults.unreadable = since === 0;
    },
  },
  {
    name: 'read-back fails from then on',
    named: ['not-live', 'was-not-live'],
    act: once((s) => {
      s.plane.faults.unreadable = true;
    }),
  },
  {
    name: 'read-back never settles from then on',
    named: ['not-live', 'was-not-live', 'lost-observations', 'probe-missing', 'stale', 'no-report'],
    act: once((s) => {
      s.plane.faults.hangs = true;
    }),
  },
  {
    name: "the dataplane counts under the old generation's number",
    named: ['not-live', 'was-not-live'],
    act: once((s) => {
      s.plane.faults.otherGeneration = true;
    }),
  },
  {
    name: "a new rule's counter is gone",
    named: ['counter-reset', 'counter-decreased', 'rule-without-traffic'],
    act: once((s) => {
      s.plane.faults.lacks = 'payments-api';
    }),
  },
  {
    name: 'counters stand still since before the stage',
    named: ['not-live', 'no-traffic', 'other-generation', 'not-applied'],
    prepare: (s) =>
      atStage(s, () => {
        s.plane.faults.frozen = true;
      }),
  },
  {
    name: 'the dataplane rejects the change',
    named: ['refused', 'not-applied', 'other-generation'],
    prepare: (s) =>
      atStage(s, () => {
        s.plane.faults.refuses = 'rejected';
      }),
  },
  {
    name: 'the dataplane is busy',
    named: ['not-applied', 'other-generation'],
    prepare: (s) =>
      atStage(s, () => {
        s.plane.faults.refuses = 'busy';
      }),
  },
];

/** What traffic and targets do. */
export const TRAFFIC: readonly Way[] = [
  {
    name: 'no traffic at all',
    named: ['no-traffic'],
    prepare: (s) =>
      void Object.assign(s.traffic, { api: false, ledger: false, mirror: false, unknown: false }),
  },
  {
    name: "the agent's own probes are the only hits",
    named: ['no-traffic'],
    prepare: (s) => void Object.assign(s.traffic, { api: false, ledger: false }),
  },
  {
    name: 'no traffic for the new rule',
    named: ['rule-without-traffic'],
    prepare: (s) => {
      s.traffic.api = false;
    },
  },
  {
    name: 'hits from the audit stage before only',
    named: ['no-traffic'],
    prepare: (s) => {
      s.before = 'audited';
      atStage(s, () => void Object.assign(s.traffic, { api: false, ledger: false }));
    },
  },
  {
    name: 'a destination in use that the generation misses',
    named: ['unexpected-denies'],
    prepare: (s) => {
      s.before = 'nothing';
      s.spec = NARROW;
      s.traffic.mirror = false;
    },
  },
  {
    name: 'a destination in use that the generation misses, in audit',
    named: ['unexpected-denies'],
    prepare: (s) => {
      s.before = 'nothing';
      s.mode = 'audit';
      s.spec = NARROW;
    },
  },
  {
    name: "somebody else's firewall rejects the workload",
    named: ['probe-blocked'],
    act: once((s) => {
      s.plane.faults.foreign = { rejects: () => true };
    }),
  },
  {
    name: "somebody else's firewall rejects the new destination",
    named: ['probe-blocked'],
    act: once((s) => {
      s.plane.faults.foreign = { rejects: ({ address }) => API.includes(address) };
    }),
  },
  {
    name: 'what is to be denied is refused by somebody else',
    named: ['probe-uncounted'],
    act: once((s) => {
      s.plane.faults.foreign = { rejects: ({ address }) => CANARY.includes(address) };
    }),
  },
  probing('what is to be denied gets no answer at all', ['probe-uncounted'], 'canary', {
    outcome: 'no-answer',
  }),
  probing('what is to be denied is away for everybody', ['probe-unreachable'], 'canary', {
    control: 'no-answer',
  }),
  probing('what is to be denied can not be tried by the control', ['probe-unreachable'], 'canary', {
    control: 'unable',
  }),
  probing('what is to be denied connects', ['probe-not-denied'], 'canary', { outcome: 'connected' }),
  probing('what is to be allowed is away for everybody', ['probe-unreachable'], 'api', {
    outcome: 'no-answer',
    control: 'no-answer',
  }),
  probing('what is to be allowed is refused', ['probe-blocked'], 'api', { outcome: 'refused' }),
  probing('what is to be allowed gets no answer', ['probe-blocked'], 'api', { outcome: 'no-answer' }),
  probing('the workload can not be taken on', ['probe-unable'], 'api', {
    outcome: 'unable',
    control: 'unable',
  }),
  {
    name: 'probes never settle from the start',
    named: ['probe-missing'],
    prepare: (s) => {
      s.meet = () => new Promise(() => undefined);
    },
  },
];

function probing(name: string, named: readonly ReasonCode[], probe: 'api' | 'canary', part: object): Way {
  return {
    name,
    named,
    act: once((s) => {
      s.meet = (tried, meeting) => (tried === probe ? { ...meeting, ...part } : meeting);
    }),
  };
}

/** What people and documents do. */
export const CONTROL: readonly Way[] = [
  {
    name: 'disarmed by its owner',
    named: ['disarmed'],
    act: once((s) => {
      s.isDisarmed = true;
    }),
  },
  {
    name: 'disarmed for a moment',
    named: ['was-not-live', 'counter-reset', 'not-applied', 'soaking'],
    act: (s, since) => {
      s.isDisarmed = since < 2;
    },
  },
  {
    name: 'enforcement off',
    named: ['enforcement-off', 'no-report'],
    prepare: (s) => {
      s.enabled = false;
    },
  },
  {
    name: 'the generation cuts the hub',
    named: ['refused', 'other-generation'],
    prepare: (s) =>
      atStage(s, () => {
        let asked = 0;
        s.hub.isReachable = () => asked++ % 2 === 1;
      }),
  },
  {
    name: 'the hub is away when it is to be confirmed',
    named: ['hub-away', 'other-generation'],
    prepare: (s) =>
      atStage(s, () => {
        s.hub.isReachable = () => false;
      }),
  },
  {
    name: 'the hub speaks of it no longer',
    named: ['orphaned'],
    act: once((s) => {
      s.hub.forget('target payments');
      s.hub.connect();
    }),
  },
  {
    name: 'withdrawn by a newer target',
    named: ['withdrawn', 'no-report', 'other-generation'],
    act: once((s) => s.hub.publish('target payments', s.hub.target('payments', null, { absent: true }))),
  },
  {
    name: 'replaced by a newer generation',
    named: ['other-generation'],
    act: once((s) => s.assigned(43, NARROW)),
  },
  {
    name: 'put back to audit',
    named: ['other-mode'],
    act: once((s) => s.assigned(42, s.spec, 'audit')),
  },
  {
    name: 'put back to audit for a moment',
    named: ['was-not-live'],
    act: (s, since) => {
      if (since === 0) s.assigned(42, s.spec, 'audit');
      if (since === 2) s.assigned(42, s.spec, 'enforce');
    },
  },
  {
    name: 'relabelled out of its virtual site',
    named: ['withdrawn', 'no-report', 'other-generation', 'not-applied'],
    act: once((s) => s.hub.publish('Site', s.hub.site(s.site, { env: 'prod' }))),
  },
  {
    name: 'the target never arrives',
    named: ['target-not-seen'],
    prepare: (s) => {
      s.deliversTarget = false;
    },
  },
  {
    name: 'an audit of the same generation runs on, and the target never arrives',
    named: ['target-not-seen'],
    prepare: (s) => {
      s.deliversTarget = false;
      s.before = 'audited';
    },
  },
  {
    name: 'another content under the same number',
    named: ['other-digest'],
    prepare: (s) => {
      s.asked = { digest: 'e'.repeat(43) };
    },
  },
  {
    name: 'a target forged to look like the stage',
    named: ['target-not-seen'],
    prepare: (s) => {
      s.deliversTarget = false;
      atStage(s, () => {
        const forged = s.hub.target('payments', null);
        s.hub.send([signBody({ ...forged, version: { epoch: 9, n: 9 } }, makeKey('k1'))]);
      });
    },
  },
  {
    name: 'no workload is selected',
    named: ['not-applicable'],
    prepare: (s) => {
      s.workloads = [];
    },
  },
  {
    name: 'the workload is unbound, and the collector started again',
    named: ['workloads-gone', 'restarted'],
    act: once((s) => {
      s.workloads = [];
      return s.restart();
    }),
  },
];

/** Runs it when the stage begins, right before its target goes out. */
function atStage(site: StagedSite, act: () => void): void {
  site.onStage = act;
}
