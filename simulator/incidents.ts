import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { hashOf } from './prng.ts';

/**
 * Those of policies: `no-traffic` has the workloads connect nowhere, `drift` has somebody change a rule, `refuses` has the
 * dataplane take no change, `unconfirmed` lets no new connection to the hub through, `disarmed` has the owner let go.
 */
const INCIDENT_KINDS = [
  'link',
  'memory',
  'silence',
  'clock',
  'late-reports',
  'no-traffic',
  'drift',
  'refuses',
  'unconfirmed',
  'disarmed',
] as const;

/** Something that goes wrong at a share of the sites, `atS` after the start for `forS`, again and again when `everyS` is given. */
export const Incident = Type.Object(
  {
    kind: Type.Enum(INCIDENT_KINDS),
    share: Type.Number({ minimum: 0, maximum: 1 }),
    atS: Type.Number({ minimum: 0 }),
    forS: Type.Number({ exclusiveMinimum: 0 }),
    everyS: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  },
  { additionalProperties: false },
);
export type Incident = Static<typeof Incident>;
const validator = Compile(Type.Array(Incident, { maxItems: 100 }));

/** A few of each kind, for a fleet that looks alive. */
export const SOME_INCIDENTS: readonly Incident[] = [
  { kind: 'link', share: 0.05, atS: 30, forS: 120, everyS: 300 },
  { kind: 'memory', share: 0.03, atS: 20, forS: 240, everyS: 300 },
  { kind: 'silence', share: 0.02, atS: 60, forS: 60, everyS: 300 },
  { kind: 'clock', share: 0.01, atS: 15, forS: 120, everyS: 300 },
];

/** Reads `none`, `some` or a JSON list. */
export function readIncidents(
  text: string,
): { ok: true; incidents: readonly Incident[] } | { ok: false; reason: string } {
  if (text === 'none') return { ok: true, incidents: [] };
  if (text === 'some') return { ok: true, incidents: SOME_INCIDENTS };
  const example = `[{"kind":"link","share":0.1,"atS":30,"forS":60}]`;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, reason: `it is none of "none", "some" and a JSON list such as ${example}` };
  }
  if (validator.Check(json)) return { ok: true, incidents: json };
  const [error] = validator.Errors(json);
  return {
    ok: false,
    reason: `it is wrong at ${error?.instancePath || '/'} (${error?.message ?? 'unknown'}); write it as ${example}`,
  };
}

/** What is wrong at a site now: by kind, how far through the incident it is, from 0 to 1. */
export type Trouble = Partial<Record<Incident['kind'], number>>;

/** Which sites an incident meets depends on the seed, so that the same run meets the same ones. */
export function troubleOf(
  incidents: readonly Incident[],
  seed: number,
  site: string,
  elapsedS: number,
): Trouble {
  const trouble: Trouble = {};
  for (const [i, { kind, share, atS, forS, everyS }] of incidents.entries()) {
    const sinceS = elapsedS - atS;
    const round = everyS === undefined || sinceS < 0 ? 0 : Math.floor(sinceS / everyS);
    const withinS = sinceS - round * (everyS ?? 0);
    if (withinS < 0 || withinS >= forS) continue;
    if (hashOf(`${seed}/${i}/${round}/${site}`) / 4_294_967_296 < share) trouble[kind] = withinS / forS;
  }
  return trouble;
}
