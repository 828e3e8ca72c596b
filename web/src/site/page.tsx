import { Command } from '../command.tsx';
import { duration } from '../format.ts';
import type { SiteDetail } from '../hub.ts';
import type { FeedState } from '../live/feed.ts';
import { useNowMs } from '../live/use-feed.ts';
import { Age } from '../moment.tsx';
import { goBack } from '../route.ts';
import { useShortcuts } from '../shortcuts.tsx';
import { SimulatedBadge, StateMark } from '../state-mark.tsx';
import { RecentEvents } from './events.tsx';
import { History } from './history.tsx';
import { HostFigures } from './host.tsx';
import { Identity } from './identity.tsx';
import { LedgerFigures } from './ledger.tsx';
import { LinksTable } from './links.tsx';
import { ScoreArithmetic } from './score.tsx';
import { useDetail } from './use-detail.ts';

/** One site in full. */
export function SitePage({ id, state }: { id: string; state: FeedState }) {
  const { detail, refusal } = useDetail(id, state);
  const nowMs = useNowMs() + state.hubOffsetMs;
  useShortcuts({ back: goBack });
  return (
    <main id="content" tabIndex={-1} class="site-page">
      <p class="crumbs">
        <a
          href="/"
          onClick={(event) => {
            event.preventDefault();
            goBack();
          }}
        >
          ← Sites
        </a>
      </p>
      {detail !== null ? (
        <Detail detail={detail} nowMs={nowMs} stale={state.phase !== 'live'} />
      ) : (
        <>
          <h1>{id}</h1>
          {refusal === null ? (
            <p class="empty" role="status">
              Asking the hub …
            </p>
          ) : refusal.code === 'not-found' ? (
            <div class="empty" role="status">
              <p>There is no site of this name. To add it:</p>
              <p>
                <Command text={`plumbline site add ${id}`} />
              </p>
            </div>
          ) : (
            <p class="empty" role="status">
              {refusal.detail}
            </p>
          )}
        </>
      )}
    </main>
  );
}

function Detail({ detail, nowMs, stale }: { detail: SiteDetail; nowMs: number; stale: boolean }) {
  const { site, explanation, report, ledger } = detail;
  return (
    <>
      <header class="site-head">
        <h1>{site.id}</h1>
        {site.simulated && <SimulatedBadge />}
        <StateMark state={site.state} stale={stale} />
        <p class="site-score">
          <span class="figure">{site.score ?? '–'}</span>
          <span class="muted"> of 100</span>
        </p>
        <p class="site-heard muted">
          {site.receivedAtMs === null ? (
            'never heard'
          ) : (
            <>
              heard <Age ms={site.receivedAtMs} nowMs={nowMs} /> ago
              {site.intervalMs !== null && `, reports every ${duration(site.intervalMs)}`}
            </>
          )}
        </p>
      </header>
      {site.reason !== '' && <p class="site-reason">{site.reason}</p>}
      {report === null && <NeverHeard id={site.id} />}
      <div class="panels">
        <ScoreArithmetic explanation={explanation} nowMs={nowMs} />
        <History id={site.id} />
        {report?.host && <HostFigures host={report.host} />}
        {report?.links && report.links.length > 0 && <LinksTable links={report.links} />}
        {ledger !== null && <LedgerFigures ledger={ledger} />}
        <RecentEvents id={site.id} />
        <Identity detail={detail} />
      </div>
    </>
  );
}

function NeverHeard({ id }: { id: string }) {
  return (
    <div class="empty">
      <p>Nothing was heard from this site yet. Run its join command there; for a new one:</p>
      <p>
        <Command text={`plumbline site token ${id}`} />
      </p>
    </div>
  );
}
