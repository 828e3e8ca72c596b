import type { DeniedView, RolloutDetail, RolloutSite, RuleHits } from '../../../core/model/policy-view.ts';
import { VERDICT_SIGNS } from '../../../core/rollout-words.ts';
import { count, milliseconds } from '../format.ts';
import { follow, sitePath } from '../route.ts';
import { Panel, ScrollingTable } from '../site/panel.tsx';
import { SignMark } from './sign.tsx';

/** New connections by rule: the proof that a rule is used. */
export function RuleHitsPanel({ rules }: { rules: readonly RuleHits[] }) {
  return (
    <Panel title="New connections by rule">
      {rules.length === 0 ? (
        <p class="muted">No site has reported any yet.</p>
      ) : (
        <ScrollingTable label="New connections by rule">
          <thead>
            <tr>
              <th scope="col">Rule</th>
              <th scope="col" class="number">
                Hits
              </th>
              <th scope="col" class="number">
                Sites
              </th>
              <th scope="col" class="number">
                By probes
              </th>
            </tr>
          </thead>
          <tbody>
            {rules.map(({ rule, hits, sites, probeHits }) => (
              <tr key={rule}>
                <th scope="row">{rule}</th>
                <td class="number">{hits === 0 ? <span class="short">0</span> : count(hits)}</td>
                <td class="number">{count(sites)}</td>
                <td class="number muted">{count(probeHits)}</td>
              </tr>
            ))}
          </tbody>
        </ScrollingTable>
      )}
    </Panel>
  );
}

/** What is refused and where to; what was let through before stands first. */
export function DeniedPanel({ denied }: { denied: readonly DeniedView[] }) {
  return (
    <Panel title="Refused destinations">
      {denied.length === 0 ? (
        <p class="muted">Nothing was refused.</p>
      ) : (
        <ScrollingTable label="Refused destinations">
          <thead>
            <tr>
              <th scope="col">Kind</th>
              <th scope="col">Workload</th>
              <th scope="col">Destination</th>
              <th scope="col">Port</th>
              <th scope="col" class="number">
                Times
              </th>
              <th scope="col">Sites</th>
            </tr>
          </thead>
          <tbody>
            {denied.map(({ denied: one, count: times, sites, examples }) => (
              <tr key={JSON.stringify(one)}>
                <td>{one.kind === 'unexpected' ? <span class="short">unexpected</span> : one.kind}</td>
                <td>{one.workload}</td>
                <td>{one.name === undefined ? one.address : `${one.name} (${one.address})`}</td>
                <td>
                  {one.port}/{one.protocol}
                </td>
                <td class="number">{count(times)}</td>
                <td title={examples.join(', ')}>{sites === 1 ? examples[0] : count(sites)}</td>
              </tr>
            ))}
          </tbody>
        </ScrollingTable>
      )}
    </Panel>
  );
}

const STEPS = [
  ['appliedAtMs', 'Applied'],
  ['liveAtMs', 'Live'],
  ['firstHitAtMs', 'First hit'],
  ['verifiedAtMs', 'Verified'],
] as const;

/** Every site of the stage: its verdict with reasons, and how long the change took to have effect there. */
export function SitesPanel({ detail }: { detail: RolloutDetail }) {
  const { sites, sitesLeftOut, stage, rollout } = detail;
  return (
    <Panel title={`Sites of stage ${stage + 1}, ${rollout.stages[stage]?.virtualSite ?? ''}`} shape="wide">
      {sites.length === 0 ? (
        <p class="muted">No site is in this stage.</p>
      ) : (
        <ScrollingTable label="Sites of the stage">
          <thead>
            <tr>
              <th scope="col">Site</th>
              <th scope="col">Verdict</th>
              <th scope="col">Reasons</th>
              <th scope="col">Stands</th>
              <th scope="col" class="number">
                Hits
              </th>
              <th scope="col" class="number">
                Unexpected
              </th>
              {STEPS.map(([key, title]) => (
                <th
                  key={key}
                  scope="col"
                  class="number"
                  title={`${title}: since the hub committed the change`}
                >
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {sites.map((site) => (
              <SiteRow key={site.site} site={site} />
            ))}
          </tbody>
        </ScrollingTable>
      )}
      {sitesLeftOut > 0 && <p class="muted">and {count(sitesLeftOut)} more</p>}
    </Panel>
  );
}

function SiteRow({ site }: { site: RolloutSite }) {
  const { verdict, reasons, detail, phase, generation, live, hits, unexpectedDenies, effect } = site;
  const why = [...reasons.map(({ text }) => text), ...(detail === '' ? [] : [detail])].join('; ');
  return (
    <tr>
      <th scope="row">
        <a href={sitePath(site.site)} onClick={follow}>
          {site.site}
        </a>
      </th>
      <td>
        <SignMark sign={VERDICT_SIGNS[verdict ?? 'unjudged']} />
      </td>
      <td class="why">{why}</td>
      <td>
        {phase === null ? 'has not said' : `${phase}, generation ${generation}`}
        {phase === 'applied' && !live && <span class="short"> not live</span>}
      </td>
      <td class="number">{count(hits)}</td>
      <td class="number">
        {unexpectedDenies > 0 ? <span class="short">{count(unexpectedDenies)}</span> : 0}
      </td>
      {STEPS.map(([key]) => (
        <td key={key} class="number">
          {effect[key] === null || effect.committedAtMs === null
            ? '–'
            : milliseconds(Math.max(0, effect[key] - effect.committedAtMs))}
        </td>
      ))}
    </tr>
  );
}
