import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { parse } from 'yaml';
import { Labels } from '../../core/model/site.ts';
import { schemaFaults } from '../../core/schema-faults.ts';
import { matches, parseSelector, type Selector } from '../../core/selector.ts';

const Only = Type.Optional(Type.String({ maxLength: 2048 }));
const where = {
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  protocol: Type.Optional(Type.Enum(['TCP', 'UDP'])),
  /** New connections a second, on the average. */
  perS: Type.Number({ minimum: 0, maximum: 1000 }),
  only: Only,
};
const Destination = Type.Union([
  Type.Object(
    { host: Type.String({ minLength: 1, maxLength: 253 }), ...where },
    { additionalProperties: false },
  ),
  Type.Object(
    { address: Type.String({ minLength: 2, maxLength: 45 }), ...where },
    { additionalProperties: false },
  ),
]);

/** What a workload connects to at simulated sites. `only` is a selector over given labels: elsewhere there is none of it. */
const WorkloadTraffic = Type.Object(
  {
    workload: Type.String({ pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' }),
    labels: Type.Optional(Labels),
    destinations: Type.Array(Destination, { maxItems: 64 }),
    only: Only,
  },
  { additionalProperties: false },
);
const TrafficFile = Type.Array(WorkloadTraffic, { maxItems: 16 });
export type WorkloadTraffic = Static<typeof WorkloadTraffic>;
const validator = Compile(TrafficFile);

export type Traffic = readonly WorkloadTraffic[];

/** What `--workload NAME` gives: a service that calls an interface, a database and a registry, labelled `app: NAME`. */
export function ordinaryTraffic(name: string): Traffic {
  return [
    {
      workload: name,
      labels: { app: name },
      destinations: [
        { host: 'api.payments.example', port: 443, perS: 0.5 },
        { host: 'db.shop.example', port: 5432, perS: 0.2 },
        { host: 'registry.example', port: 443, perS: 0.05 },
      ],
    },
  ];
}

/** Reads the YAML of `--traffic`; `reason` names the first field that is wrong and what to write there. */
export function readTraffic(text: string): { ok: true; traffic: Traffic } | { ok: false; reason: string } {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    return { ok: false, reason: `it is not YAML: ${error instanceof Error ? error.message : String(error)}` };
  }
  if (!validator.Check(value)) {
    const [fault] = schemaFaults(TrafficFile, value);
    return {
      ok: false,
      reason: `${fault?.pointer || '/'}: ${fault?.problem ?? 'it is wrong'}; ${fault?.remedy ?? ''}`,
    };
  }
  for (const [i, { only, destinations, workload }] of value.entries()) {
    if (value.findIndex((one) => one.workload === workload) < i)
      return {
        ok: false,
        reason: `/${i}/workload: ${workload} is there twice; write its destinations in one list`,
      };
    const selectors = [only, ...destinations.map((destination) => destination.only)];
    for (const text of selectors) {
      const parsed = parseSelector(text ?? '');
      if (!parsed.ok) return { ok: false, reason: `/${i}: only: ${parsed.at}: ${parsed.reason}` };
    }
  }
  return { ok: true, traffic: value };
}

/** What of it there is at a site with these given labels. */
export function trafficAt(traffic: Traffic, labels: Labels): Traffic {
  const isHere = ({ only }: { only?: string }) => only === undefined || matches(selectorOf(only), labels);
  return traffic
    .filter(isHere)
    .map((one) => ({ ...one, destinations: one.destinations.filter((destination) => isHere(destination)) }));
}

function selectorOf(text: string): Selector {
  const parsed = parseSelector(text);
  return parsed.ok ? parsed.selector : [];
}
