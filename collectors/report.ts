import { Compile } from 'typebox/compile';
import { MAX_REPORT_BYTES, Report } from '../core/model/report.ts';
import type { Reading } from './reading.ts';

const validator = Compile(Report);
/** What the MAC in front of the JSON takes, and a little room. */
const MAX_JSON_BYTES = MAX_REPORT_BYTES - 64;

/** Everything in a report that the probes don't give. */
export type Envelope = Omit<
  Report,
  'v' | 'discovered' | 'probes' | 'host' | 'links' | 'nodes' | 'workloads' | 'security' | 'policy'
>;

/**
 * The JSON bytes of a report. Probes were checked when they were read, so that one that is not valid here is a bug, and
 * throws. One over the size limit goes without its largest part, whose probe is then shown as failed.
 */
export function encodeReport(envelope: Envelope, reading: Reading): Buffer {
  const report: Report = {
    v: 1,
    ...envelope,
    discovered: reading.discovered,
    probes: reading.statuses,
    ...reading.parts,
  };
  if (!validator.Check(report)) {
    const [error] = validator.Errors(report);
    throw new Error(`the report is not valid: ${error?.instancePath} ${error?.message}`);
  }
  const json = Buffer.from(JSON.stringify(report));
  if (json.length <= MAX_JSON_BYTES) return json;
  const [largest] = Object.entries(reading.parts)
    .map(([name, part]) => ({ name, size: JSON.stringify(part).length }))
    .sort((a, b) => b.size - a.size);
  if (largest === undefined) throw new Error(`a report without parts has ${json.length} bytes`);
  const left = Object.fromEntries(Object.entries(reading.parts).filter(([name]) => name !== largest.name));
  return encodeReport(envelope, {
    ...reading,
    parts: left,
    statuses: [
      ...reading.statuses,
      {
        name: `${largest.name}-size`,
        ok: false,
        lost: 1,
        error: `${largest.name} has ${largest.size} bytes, which with the rest is over the limit of a report`,
      },
    ],
  });
}
