import type { Link } from '../../../core/model/report.ts';
import { count, milliseconds, percent } from '../format.ts';
import { StateShape } from '../state-mark.tsx';
import { Panel, ScrollingTable } from './panel.tsx';

/** The site's links: what was tried in the scored window, what became of it, and how long answers took. */
export function LinksTable({ links }: { links: readonly Link[] }) {
  const sorted = links.toSorted((a, b) => Number(a.up) - Number(b.up) || (a.name < b.name ? -1 : 1));
  return (
    <Panel title="Links" shape="wide" aside={<span class="muted">newest 60 s at most</span>}>
      <ScrollingTable label="Links">
        <thead>
          <tr>
            <th scope="col">Link</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Requests
            </th>
            <th scope="col" class="number">
              Lost
            </th>
            <th scope="col" class="number">
              Errors
            </th>
            <th scope="col" class="number">
              p50
            </th>
            <th scope="col" class="number">
              p90
            </th>
            <th scope="col" class="number">
              p99
            </th>
            <th scope="col" class="number">
              Usual p50
            </th>
            <th scope="col" class="number">
              Budget p90
            </th>
            <th scope="col" class="number">
              Requests in all
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((link) => (
            <LinkRow key={link.name} link={link} />
          ))}
        </tbody>
      </ScrollingTable>
    </Panel>
  );
}

function LinkRow({ link }: { link: Link }) {
  const { window, latency, budgetMs } = link;
  const overBudget = budgetMs !== undefined && latency !== undefined && latency.p90Ms > budgetMs;
  return (
    <tr>
      <th scope="row">
        {link.name}
        <span class="muted target">
          {link.protocol} {link.target}
        </span>
        {link.lastError !== undefined && <span class="trouble-text target">{link.lastError}</span>}
      </th>
      <td>
        <span class={`state ${link.up ? 'green' : 'red'}`}>
          <StateShape state={link.up ? 'green' : 'red'} />
          {link.up ? 'Up' : 'Down'}
        </span>
      </td>
      <td class="number">{count(window.requests)}</td>
      <td class="number">{share(window.losses, window.requests)}</td>
      <td class="number">{share(window.errors, window.requests)}</td>
      <td class="number">{milliseconds(latency?.p50Ms)}</td>
      <td class={overBudget ? 'number short' : 'number'}>{milliseconds(latency?.p90Ms)}</td>
      <td class="number">{milliseconds(latency?.p99Ms)}</td>
      <td class="number">{milliseconds(link.baselineMs)}</td>
      <td class="number">{milliseconds(budgetMs)}</td>
      <td class="number">
        {count(link.requests)}
        <span class="muted target">
          {count(link.losses)} lost, {count(link.errors)} errors
        </span>
      </td>
    </tr>
  );
}

function share(part: number, whole: number) {
  if (part === 0) return <>0</>;
  return (
    <span class="short">
      {count(part)} ({percent(part / Math.max(1, whole))})
    </span>
  );
}
