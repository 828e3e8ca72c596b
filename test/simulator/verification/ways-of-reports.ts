import type { Report } from '../../../core/model/report.ts';
import type { ReasonCode } from '../../../core/policy/verification/reasons.ts';
import type { LogRecord } from '../../../core/ports/log.ts';
import { keyOf, sealed } from '../../aggregator/site.ts';
import { INTERVAL_MS, STAGE_TICK, type StagedSite } from './staged-site.ts';
import type { Way } from './ways.ts';

/** What becomes of reports between the collector and the store, and of the collector itself. */
export const REPORTS: readonly Way[] = [
  {
    name: 'collector killed and started again',
    named: ['restarted'],
    act: (s, since) => (since === 0 ? s.restart() : undefined),
  },
  {
    name: 'collector killed, its disk lost',
    named: ['restarted', 'gap'],
    act: (s, since) => (since === 0 ? s.restart(false) : undefined),
  },
  {
    name: 'collector killed again and again',
    named: ['restarted'],
    act: (s, since) => (since % 3 === 0 ? s.restart() : undefined),
  },
  written('collector killed, and never back', ['stale'], () => null),
  { ...lost('one report lost', (since) => since === 0), named: ['gap'] },
  { ...lost('a minute of reports lost', (since) => since < 6), named: ['gap'] },
  { ...lost('every other report lost', (since) => since % 2 === 0), named: ['gap'] },
  sent('one report held back until after the verdict', ['gap'], (since, record) =>
    since === 0 ? [] : [record],
  ),
  sent('all reports held back from then on', ['stale'], () => []),
  {
    name: 'reports come a minute late each',
    named: ['stale'],
    act: (s) => {
      s.send = ({ atMs, record }) => [later({ atMs, record }, 60_000)];
    },
  },
  {
    name: 'what was held comes as backfill, and nothing live',
    named: ['stale'],
    act: (s) => {
      s.send = ({ atMs, record }) => {
        const { atMs: then, record: held } = later({ atMs, record }, 120_000);
        return [{ atMs: then, record: { ...held, topic: 'backfill' } }];
      };
    },
  },
  sent('one report altered on its way', ['quarantined'], (since, record) => [
    since === 0 ? altered(record) : record,
  ]),
  sent('each report altered on its way', ['quarantined'], (_since, record) => [altered(record)]),
  sent('one report of junk', ['quarantined'], (since, record) =>
    since === 0 ? [record, { ...record, value: Buffer.from('junk') }] : [record],
  ),
  sent("a report sealed with another site's key", ['quarantined'], (since, record) =>
    since === 0 ? [{ ...record, value: sealed(JSON.parse(textOf(record)), keyOf('de-berlin-9')) }] : [record],
  ),
  sent('a report that speaks for another site', ['quarantined'], (since, record) =>
    since === 0
      ? [
          {
            ...record,
            value: sealed({ ...JSON.parse(textOf(record)), site: 'de-berlin-9' }, keyOf(record.key)),
          },
        ]
      : [record],
  ),
  sent('another report under the same identity', ['quarantined'], (since, record) => {
    if (since > 0) return [record];
    const other = { ...JSON.parse(textOf(record)), missed: 7 };
    return [record, { ...record, value: sealed(other, keyOf(record.key)) }];
  }),
  sent('a second collector with the same identity', ['quarantined'], (_since, record) => {
    const twin = { ...JSON.parse(textOf(record)), boot: '00000001-ffffffff' };
    return [record, { ...record, value: sealed(twin, keyOf(record.key)) }];
  }),
  sent('a report too large', ['quarantined'], (since, record) =>
    since === 0 ? [record, { ...record, value: Buffer.alloc(70_000) }] : [record],
  ),
  written('one report says nothing of policies', ['lost-observations'], (said, since) =>
    since === 0 ? without(said) : said,
  ),
  written('no report says anything of policies any more', ['stale', 'lost-observations'], (said) =>
    without(said),
  ),
  written('one report has no word of this policy', ['lost-observations'], (said, since) =>
    since === 0 && said.policy !== undefined ? { ...said, policy: { ...said.policy, policies: [] } } : said,
  ),
  written('the policy probe lost observations', ['lost-observations'], (said, since) =>
    since === 0 ? { ...said, probes: [{ name: 'policy', ok: true, lost: 3 }] } : said,
  ),
  written('the policy probe failed', ['lost-observations'], (said, since) =>
    since === 0 ? { ...said, probes: [{ name: 'policy', ok: false, lost: 0 }] } : said,
  ),
  written('clock ten minutes off', ['clock-off'], (said) => ({ ...said, clockOffsetMs: 600_000 })),
  written('clock ten minutes off the other way', ['clock-off'], (said) => ({
    ...said,
    clockOffsetMs: -600_000,
  })),
  written('clock off for one interval', ['clock-off'], (said, since) =>
    since === 0 ? { ...said, clockOffsetMs: 45_000 } : said,
  ),
  {
    name: 'clock never compared',
    named: ['clock-unknown'],
    prepare: (s) => {
      s.write = (said) => ({ ...said, clockOffsetMs: null });
    },
  },
  written('clock ten minutes behind, and nobody says so', ['stale'], (said) => ({
    ...said,
    ts: said.ts - 600_000,
  })),
  written('clock ten minutes ahead, and nobody says so', ['quarantined'], (said) => ({
    ...said,
    ts: said.ts + 600_000,
  })),
  written('numbers skipped', ['gap'], (said) => ({ ...said, seq: said.seq + 5 })),
  written('the score falls', ['score-drop'], (said) => busy(said)),
  {
    name: 'the score is not known',
    named: ['score-unknown'],
    prepare: (s) => {
      s.write = ({ host: _, links: __, ...said }) => (s.tick < STAGE_TICK ? without(said) : said);
    },
  },
  asking('asked before the soak is over', ['soaking'], { soakMs: 3_600_000 }),
  asking('asked for more hits than there are', ['no-traffic', 'rule-without-traffic'], { minHits: 100_000 }),
  asking('asked for a rule that there is not', ['rule-without-traffic'], { newRules: ['search'] }),
  asking('asked for a probe that nobody makes', ['probe-missing'], { probes: ['api', 'canary', 'ghost'] }),
  asking('asked for a newer target', ['target-not-seen'], { version: { epoch: 2, n: 0 } }),
  {
    name: 'asked about long after the last report',
    named: ['stale'],
    act: (s) => {
      s.asked = { decidedAtMs: s.nowMs + 6 * INTERVAL_MS };
    },
  },
];

type Sent = { atMs: number; record: LogRecord };

function later({ atMs, record }: Sent, byMs: number): Sent {
  return { atMs: atMs + byMs, record: { ...record, appendedAtMs: record.appendedAtMs + byMs } };
}

function textOf({ value }: LogRecord): string {
  return Buffer.from(value.subarray(32)).toString('utf8');
}

function altered(record: LogRecord): LogRecord {
  const value = Buffer.from(record.value);
  const at = value.indexOf('"hits":');
  if (at > 0) value.write('9', at + 7);
  value.write('7', value.indexOf('"seq":') + 6);
  return { ...record, value };
}

function without({ policy: _, ...said }: Report): Report {
  return said;
}

function busy(said: Report): Report {
  const { host } = said;
  if (host === undefined) return said;
  return { ...said, host: { ...host, memory: { ...host.memory, utilization: 0.99 } } };
}

function written(
  name: string,
  named: readonly ReasonCode[],
  change: (said: Report, since: number) => Report | null,
): Way {
  return {
    name,
    named,
    act: (s, since) => {
      s.write = (said) => change(said, since);
    },
  };
}

function lost(name: string, isLost: (since: number) => boolean): Way {
  return written(name, [], (said, since) => (isLost(since) ? null : said));
}

function sent(
  name: string,
  named: readonly ReasonCode[],
  change: (since: number, record: LogRecord) => LogRecord[],
): Way {
  return {
    name,
    named,
    act: (s, since) => {
      s.send = ({ atMs, record }) => change(since, record).map((one) => ({ atMs, record: one }));
    },
  };
}

function asking(name: string, named: readonly ReasonCode[], asked: StagedSite['asked']): Way {
  return {
    name,
    named,
    prepare: (s) => {
      s.asked = asked;
    },
  };
}
