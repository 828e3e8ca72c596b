import type { FleetEvent } from '../core/model/event.ts';
import type { RowOf } from '../core/model/rows.ts';

export function eventRow(event: FleetEvent): RowOf<'event'> {
  return {
    id: event.id,
    at: event.atMs,
    kind: event.kind,
    severity: event.severity,
    site: event.site,
    virtual_site: event.virtualSite,
    by: event.by,
    message: event.message,
  };
}
