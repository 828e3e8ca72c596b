import Type, { type Static } from 'typebox';

/** DNS label form: lower case letters, digits and hyphens, at most 63, so that it is safe in keys, URLs and file names. */
export const SITE_ID_PATTERN = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$';
export const SiteId = Type.String({ pattern: SITE_ID_PATTERN });

/** A persisted counter of 8 digits and a random id, so that boots sort in the order they happened. */
export const BootId = Type.String({ pattern: '^[0-9]{8}-[0-9a-f]{8}$' });

/** The counter in front of a boot id. */
export function bootCounter(boot: string): number {
  return Number(boot.slice(0, 8));
}

export const SITE_KINDS = ['host', 'kubernetes', 'hosted-control-plane', 'simulated'] as const;
export type SiteKind = (typeof SITE_KINDS)[number];
export const SiteKind = Type.Enum(SITE_KINDS);

/** Kubernetes' label syntax, https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ */
const LABEL_KEY = '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$';
const LABEL_VALUE = '^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$';
export const Labels = Type.Record(
  Type.String({ pattern: LABEL_KEY }),
  Type.String({ pattern: LABEL_VALUE }),
  {
    maxProperties: 64,
    additionalProperties: false,
  },
);
export type Labels = Static<typeof Labels>;

/** Free text made fit to be a label's value; empty when nothing fit is left. */
export function toLabelValue(text: string): string {
  return text
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .slice(0, 63)
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
}

/** Free text made fit to be a site's id; empty when nothing fit is left. */
export function toSiteId(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '');
}
