import type { Random } from '../../../simulator/prng.ts';
import { JUDGED_TICKS, STAGE_TICK, type StagedSite } from './staged-site.ts';

/** What happens in a fleet on an ordinary day, to one or two of its sites; and to all of them that reports are a bit late. */
export const NOISES = ['late', 'restart', 'offline', 'returns', 'twice', 'all'] as const;
type Noise = (typeof NOISES)[number];

/** Before an interval of the site with this number. `random` is of the rollout and begins anew each time. */
export async function disturb(site: StagedSite, number: number, noise: Noise, random: Random): Promise<void> {
  const chosen = Math.floor(random() * 10);
  const when = STAGE_TICK + 3 + Math.floor(random() * (JUDGED_TICKS[0] - STAGE_TICK - 10));
  const is = (one: Noise) => noise === one || noise === 'all';
  const lateMs = site.random() < 0.2 ? Math.floor(site.random() * 9000) : 0;
  const copies = is('twice') && site.random() < 0.1 ? 2 : 1;
  site.send = ({ atMs, record }) => {
    const sent = { atMs: atMs + lateMs, record: { ...record, appendedAtMs: record.appendedAtMs + lateMs } };
    return Array.from({ length: copies }, () => sent);
  };
  if (number !== chosen && number !== (chosen + 5) % 10) return;
  const isSecond = number !== chosen;
  if (is('restart') && site.tick === when && !isSecond) await site.restart();
  const away = site.tick >= when && !isSecond;
  // Off for good, where it says so; otherwise for a minute, after which the spool is emptied.
  if (noise === 'offline' && away) site.send = () => [];
  if (is('returns') && isSecond && site.tick >= when && site.tick < when + 6) {
    const backMs = site.nowMs + (when + 7 - site.tick) * 10_000;
    site.send = ({ record }) => [
      { atMs: backMs, record: { ...record, topic: 'backfill', appendedAtMs: backMs } },
    ];
  }
}
