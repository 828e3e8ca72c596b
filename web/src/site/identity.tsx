import type { SiteDetail } from '../hub.ts';
import { Moment } from '../moment.tsx';
import { follow } from '../route.ts';
import { Panel } from './panel.tsx';

/** Who the site is: kind, labels by who set them, virtual sites, collector, probes. */
export function Identity({ detail }: { detail: SiteDetail }) {
  const { site, report } = detail;
  const labels = Object.entries(site.labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const of = (prefix: string) => labels.filter(([key]) => key.startsWith(prefix));
  const given = labels.filter(([key]) => !key.startsWith('discovered/') && !key.startsWith('proposed/'));
  const failing = report?.probes.filter((probe) => !probe.ok || probe.lost > 0) ?? [];
  return (
    <Panel title="Identity">
      <dl class="facts-list">
        <Fact name="Kind">{site.kind}</Fact>
        <Fact name="Virtual sites">
          {site.virtualSites.length === 0
            ? 'none'
            : site.virtualSites.map((name, index) => (
                <>
                  {index > 0 && ', '}
                  <a href={`/?vs=${encodeURIComponent(name)}`} onClick={follow}>
                    {name}
                  </a>
                </>
              ))}
        </Fact>
        <Fact name="Given labels">
          <Labels labels={given} />
        </Fact>
        <Fact name="Discovered">
          <Labels labels={of('discovered/')} />
        </Fact>
        {of('proposed/').length > 0 && (
          <Fact name="Proposed">
            <Labels labels={of('proposed/')} />
          </Fact>
        )}
        <Fact name="Collector">{site.version === '' ? 'unknown' : site.version}</Fact>
        {report !== null && (
          <>
            <Fact name="Newest report">
              boot <code>{report.boot}</code>, number {report.seq}
            </Fact>
            <Fact name="Clock">
              {report.clockOffsetMs === null
                ? 'not compared yet'
                : report.clockOffsetMs === 0
                  ? 'agrees with the hub'
                  : `${Math.abs(report.clockOffsetMs)} ms ${report.clockOffsetMs > 0 ? 'behind' : 'ahead of'} the hub`}
            </Fact>
            <Fact name="Probes">
              {report.probes.map((probe) => probe.name).join(', ')}
              {failing.map((probe) => (
                <span key={probe.name} class="trouble-text target">
                  {probe.name}: {probe.error ?? `${probe.lost} observations lost`}
                </span>
              ))}
            </Fact>
          </>
        )}
        <Fact name="Added">
          <Moment ms={detail.createdAtMs} />
        </Fact>
        <Fact name="Joined">
          {detail.joinedAtMs === null ? 'not yet' : <Moment ms={detail.joinedAtMs} />}
        </Fact>
      </dl>
    </Panel>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Labels({ labels }: { labels: readonly (readonly [string, string])[] }) {
  if (labels.length === 0) return <>none</>;
  return (
    <ul class="labels">
      {labels.map(([key, value]) => (
        <li key={key}>
          <code>
            {key.replace(/^(discovered|proposed)\//, '')}
            {value !== '' && `=${value}`}
          </code>
        </li>
      ))}
    </ul>
  );
}
