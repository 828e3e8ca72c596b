import type { SiteLinks } from '../../core/model/view.ts';
import type { Store } from '../../core/ports/store.ts';
import type { Span } from './span.ts';

type Point = SiteLinks['history'][number];
type Row = Omit<Point, 'up'> & { isUp: number };

/** Counts where the minute before is not known are 0: what happened in that minute can't be told. */
const SQL = `
  SELECT toUnixTimestamp(intDiv(toUnixTimestamp(minute), {stepS:UInt32}) * {stepS:UInt32}) * 1000 AS atMs, link AS name,
    min(up_min) AS isUp, sum(ifNull(requests, 0)) AS requests, sum(ifNull(losses, 0)) AS losses,
    sum(ifNull(errors, 0)) AS errors, nullIf(max(p90_ms_max), 0) AS p90Ms
  FROM plumbline.links_minute
  WHERE site = {site:String} AND minute >= toDateTime({fromS:UInt32}, 'UTC') AND minute < toDateTime({toS:UInt32}, 'UTC')
  GROUP BY atMs, name ORDER BY atMs, name`;

export async function linkHistory(
  store: Store,
  site: string,
  { fromMs, toMs, stepMs }: Span,
): Promise<Point[]> {
  const params = {
    site,
    stepS: stepMs / 1000,
    fromS: Math.floor(fromMs / 1000),
    toS: Math.ceil(toMs / 1000),
  };
  const rows = await store.query<Row>(SQL, params);
  return rows.map(({ isUp, ...point }) => ({ ...point, up: isUp === 1 }));
}
