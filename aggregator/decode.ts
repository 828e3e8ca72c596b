import { Compile } from 'typebox/compile';
import { MAX_REPORT_BYTES, Position, Report } from '../core/model/report.ts';
import type { LogRecord } from '../core/ports/log.ts';
import { schemaFaults } from '../core/schema-faults.ts';
import { splitSealed } from '../core/seal.ts';
import { type Refusal, refuse, type Step } from './step.ts';

/** A report as it came: what it says, and the very bytes that its MAC covers. */
export type Decoded = { record: LogRecord; report: Report; mac: Uint8Array; json: Uint8Array };

const report = Compile(Report);
const position = Compile(Position);

/** First step: from bytes to a report of the right shape that speaks for the site it came from. */
export function decode(record: LogRecord): Step<Decoded> {
  const { value } = record;
  if (value.byteLength > MAX_REPORT_BYTES)
    return refuse(
      'too-large',
      `a report has at most ${MAX_REPORT_BYTES} bytes, this one has ${value.byteLength}; configure fewer links or disks`,
    );
  const parts = splitSealed(value);
  if (parts === null)
    return refuse('too-short', `a sealed report begins with a MAC of 32 bytes; this has ${value.byteLength}`);
  const parsed = parse(parts.json);
  if (!parsed.ok) return parsed;
  const said = parsed.value;
  if (!report.Check(said)) return refuseShape(said);
  if (said.site !== record.key)
    return refuse(
      'identity',
      `/site is "${said.site}" but it came from "${record.key}"; a site reports only for itself`,
      said,
    );
  return { ok: true, value: { record, report: said, mac: parts.mac, json: parts.json } };
}

function parse(json: Uint8Array): Step<unknown> {
  const text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8');
  try {
    const value: unknown = JSON.parse(text);
    return { ok: true, value };
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : 'not JSON';
    return refuse('schema', `the report is not JSON (${why.slice(0, 200)}); send what the collector sealed`);
  }
}

function refuseShape(said: unknown): Refusal {
  const claim = position.Check(said) ? said : null;
  if (typeof said === 'object' && said !== null && 'v' in said && said.v !== 1)
    return refuse(
      'version',
      `/v is ${JSON.stringify(said.v)?.slice(0, 40)} but this hub reads 1; use a collector of the hub's version`,
      claim,
    );
  const faults = schemaFaults(Report, said);
  const first = faults[0] ?? { pointer: '', ...unexplained(said) };
  const further = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return refuse('schema', `${first.pointer || '/'}: ${first.problem}; ${first.remedy}${further}`, claim);
}

function unexplained(said: unknown): { problem: string; remedy: string } {
  const [error] = report.Errors(said);
  const problem = error === undefined ? 'not a report' : `${error.instancePath} ${error.message}`;
  return { problem, remedy: 'send a report as core/model/report.ts has it' };
}
