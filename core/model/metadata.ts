import Type, { type Static, type TSchema } from 'typebox';
import { SITE_ID_PATTERN } from './site.ts';

export const API_VERSION = 'plumbline.io/v1';

export const Timestamp = Type.Integer({ minimum: 0 });
export const ResourceName = Type.String({ pattern: SITE_ID_PATTERN });

/** What every resource of table `resources` carries. Times are epoch milliseconds; `revision` counts its changes. */
export const Metadata = Type.Object({
  name: ResourceName,
  uid: Type.String(),
  createdAtMs: Timestamp,
  updatedAtMs: Timestamp,
  revision: Type.Integer({ minimum: 1 }),
  updatedBy: Type.String(),
});
export type Metadata = Static<typeof Metadata>;

/** Which state of which resource: one that was deleted and made again has another uid, and counts from 1 again. */
export const Revision = Type.Object({
  uid: Type.String(),
  revision: Type.Integer({ minimum: 1 }),
});
export type Revision = Static<typeof Revision>;

/** The schema of a resource of table `resources`. */
export function resource<K extends string, S extends TSchema>(kind: K, spec: S, name = ResourceName) {
  return Type.Object({
    apiVersion: Type.Literal(API_VERSION),
    kind: Type.Literal(kind),
    metadata: Type.Object({ ...Metadata.properties, name }),
    spec,
  });
}

/** A selector in string form (`env in (prod),!maintenance`) or as metav1.LabelSelector. */
export const LabelSelector = Type.Union([
  Type.String({ maxLength: 2048 }),
  Type.Object(
    {
      matchLabels: Type.Optional(Type.Record(Type.String(), Type.String())),
      matchExpressions: Type.Optional(
        Type.Array(
          Type.Object(
            {
              key: Type.String(),
              operator: Type.Enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
              values: Type.Optional(Type.Array(Type.String())),
            },
            { additionalProperties: false },
          ),
          { maxItems: 32 },
        ),
      ),
    },
    { additionalProperties: false },
  ),
]);
