import type { Ledger } from '../../../core/model/view.ts';
import { count } from '../format.ts';
import { Panel } from './panel.tsx';

/** Where every report of the site is. The parts always add up to what was sent; `missing` must be 0. */
export function LedgerFigures({ ledger }: { ledger: Ledger }) {
  const parts: [string, number, string][] = [
    ['Stored', ledger.stored, 'durable in the store'],
    ['Quarantined', ledger.quarantined, 'kept apart, with a reason'],
    ['Pending', ledger.pending, 'still held at the site'],
    ['Gaps', ledger.gaps, "dropped by the site's bound, by its own word"],
    ...lostPart(ledger),
    ['Missing', ledger.missing, 'accounted for by nobody'],
  ];
  return (
    <Panel
      title="Reports accounted for"
      aside={
        <span class="muted">
          {count(ledger.boots)} {ledger.boots === 1 ? 'boot' : 'boots'}
        </span>
      }
    >
      <dl class="ledger">
        <div class="sum">
          <dt>Sent</dt>
          <dd class="figure">{count(ledger.sent)}</dd>
        </div>
        {parts.map(([name, amount, words]) => (
          <div key={name} class={name === 'Missing' && amount > 0 ? 'loss' : ''}>
            <dt>
              {name} <span class="muted">{words}</span>
            </dt>
            <dd class="figure">{count(amount)}</dd>
          </div>
        ))}
      </dl>
      {ledger.missingRanges.length > 0 && (
        <p class="trouble-text">Missing: {ledger.missingRanges.join(', ')}</p>
      )}
    </Panel>
  );
}

/** Of a hub that was never restored it says nothing. */
function lostPart({ lost }: Ledger): [string, number, string][] {
  return lost === 0 ? [] : [['Lost', lost, 'handed over before the hub was restored from a backup']];
}
