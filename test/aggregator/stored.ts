import type { ReportRow } from '../../core/model/rows.ts';
import type { Store } from '../../core/ports/store.ts';

/** A store in a list, that answers what the aggregator asks of identities: which of them it has, or the newest of a boot. */
export function storeOf(): Store & { rows(): readonly ReportRow[] } {
  const rows: ReportRow[] = [];
  const strings = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
  return {
    start: async () => {},
    stop: async () => {},
    derive: async () => {},
    rows: () => rows,
    async insert(table, some) {
      if (table !== 'report') return;
      rows.push(...reportsOf(some));
    },
    async query<R extends object>(_sql: string, params = {}): Promise<R[]> {
      const asked: { sites?: unknown; boots?: unknown; seqs?: unknown } = params;
      const sites = strings(asked.sites);
      const boots = strings(asked.boots);
      const seqs = asked.seqs === undefined ? null : strings(asked.seqs);
      const answer = rows
        .filter(({ site, boot, seq }) =>
          sites.some(
            (one, at) => one === site && boots[at] === boot && (seqs?.[at] ?? String(seq)) === String(seq),
          ),
        )
        .map((row) => ({ ...row, number: String(row.seq) }));
      if (seqs !== null) return JSON.parse(JSON.stringify(answer));
      const newest = new Map(
        answer.map(({ site, boot }) => [`${site}/${boot}`, { site, boot, number: '0' }]),
      );
      for (const { site, boot, seq } of answer) {
        const one = newest.get(`${site}/${boot}`);
        if (one !== undefined && Number(one.number) < seq) one.number = String(seq);
      }
      return JSON.parse(JSON.stringify([...newest.values()]));
    },
  };
}

/** The rows again, as what they are when they go to table `report`. */
export function reportsOf(rows: readonly object[]): ReportRow[] {
  return rows.filter(isReport);
}

function isReport(row: object): row is ReportRow {
  return 'payload_hash' in row;
}
