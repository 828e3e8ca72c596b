import { useLayoutEffect, useRef } from 'preact/hooks';
import { Utilisation } from '../bar.tsx';
import { SimulatedBadge, StateMark } from '../state-mark.tsx';
import { Heard, LinksUp, type RowsProps, SiteLink } from './table.tsx';

/** The same rows where there is no width for a table. */
export function SiteCards(props: RowsProps) {
  const { rows, from, to, rowPx, stale } = props;
  return (
    <ul class="cards" ref={props.attach} aria-label="Sites">
      <Spacer px={from * rowPx} />
      {rows.slice(from, to).map((site, index) => (
        <li
          key={site.id}
          class={`card ${site.state}`}
          aria-setsize={rows.length}
          aria-posinset={from + index + 1}
        >
          <div class="card-head">
            <SiteLink site={site} {...props} />
            {site.simulated && <SimulatedBadge />}
            <span class="card-score figure">{site.score ?? '–'}</span>
          </div>
          <div class="card-state">
            <StateMark state={site.state} stale={stale} />
            <span class="card-reason">{site.reason}</span>
          </div>
          <dl class="card-figures">
            <div>
              <dt>CPU</dt>
              <dd>
                <Utilisation ratio={site.cpu} />
              </dd>
            </div>
            <div>
              <dt>Memory</dt>
              <dd>
                <Utilisation ratio={site.memory} />
              </dd>
            </div>
            <div>
              <dt>Disk</dt>
              <dd>
                <Utilisation ratio={site.disk} />
              </dd>
            </div>
            <div>
              <dt>Links</dt>
              <dd class="figure">
                <LinksUp site={site} />
              </dd>
            </div>
            <div>
              <dt>Heard</dt>
              <dd class="figure">
                <Heard site={site} hubNowMs={props.hubNowMs} />
              </dd>
            </div>
          </dl>
        </li>
      ))}
      <Spacer px={(rows.length - to) * rowPx} />
    </ul>
  );
}

function Spacer({ px }: { px: number }) {
  const item = useRef<HTMLLIElement>(null);
  useLayoutEffect(() => {
    if (item.current !== null) item.current.style.height = `${px}px`;
  }, [px]);
  return <li ref={item} class="spacer" aria-hidden="true" />;
}
