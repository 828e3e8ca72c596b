import type { SiteView, VirtualSiteView } from '../core/model/view.ts';
import { ago, percent, whole } from './figures.ts';
import { colorOf, type Paint, signText } from './sign.ts';
import type { Column } from './table.ts';

/** How sites stand in a table, wherever one is printed. */
export function siteColumns(paint: Paint, nowMs: number): Column<SiteView>[] {
  return [
    { header: 'SITE', text: (site) => site.id },
    { header: 'KIND', text: kindText },
    {
      header: 'STATE',
      text: signText,
      paint: (site, padded) => paint(colorOf(site.state), padded),
    },
    { header: 'SCORE', text: (site) => whole(site.score), alignRight: true },
    { header: 'CPU', text: (site) => percent(site.cpu), alignRight: true },
    { header: 'MEMORY', text: (site) => percent(site.memory), alignRight: true },
    { header: 'DISK', text: (site) => percent(site.disk), alignRight: true, wide: true },
    { header: 'LINKS', text: linksText, alignRight: true },
    { header: 'HEARD', text: (site) => ago(site.receivedAtMs, nowMs) },
    { header: 'VERSION', text: (site) => site.version || '-', wide: true },
    { header: 'VIRTUAL SITES', text: (site) => site.virtualSites.join(',') || '-', wide: true },
    { header: 'LABELS', text: (site) => labelsText(site.labels), wide: true },
    { header: 'REASON', text: (site) => site.reason },
  ];
}

export function virtualSiteColumns(paint: Paint): Column<VirtualSiteView>[] {
  const count = (state: 'green' | 'orange' | 'red' | 'unknown') => ({
    text: (row: VirtualSiteView) => String(row.rollup.byState[state]),
    paint: (row: VirtualSiteView, padded: string) =>
      row.rollup.byState[state] > 0 ? paint(colorOf(state), padded) : padded,
    alignRight: true,
  });
  return [
    { header: 'VIRTUAL SITE', text: (row) => row.name },
    { header: 'MEMBERS', text: (row) => String(row.rollup.members), alignRight: true },
    { header: 'HEALTHY', ...count('green') },
    { header: 'DEGRADED', ...count('orange') },
    { header: 'FAILING', ...count('red') },
    { header: 'UNKNOWN', ...count('unknown') },
    { header: 'WORST', text: (row) => whole(row.rollup.score?.min ?? null), alignRight: true },
    { header: 'MEDIAN', text: (row) => whole(row.rollup.score?.p50 ?? null), alignRight: true },
    { header: 'LINKS', text: (row) => `${row.rollup.linksUp}/${row.rollup.linksTotal}`, alignRight: true },
    { header: 'WORST SITE', text: (row) => row.rollup.worst[0]?.site ?? '-', wide: true },
    { header: 'SELECTOR', text: (row) => row.selector || '(all)' },
  ];
}

export function linksText(site: SiteView): string {
  return site.links.total === 0 ? '-' : `${site.links.up}/${site.links.total}`;
}

export function kindText(site: SiteView): string {
  return site.simulated && site.kind !== 'simulated' ? `${site.kind} (simulated)` : site.kind;
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  return (
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(',') || '-'
  );
}
