import Type, { type Static } from 'typebox';

/**
 * What can be wrong with policy as a whole. `read-only`: the hub changes nothing of it, because sites know more than it does,
 * or its key or something that it decided is missing. `key-distrusted`: sites refuse what it signs.
 * `claim-implausible`: sites say that they have seen what no hub can have said.
 */
const TROUBLES = ['read-only', 'key-distrusted', 'claim-implausible'] as const;

/** One that control found, as it stands in the hub's status until it is over. */
export const Trouble = Type.Object({
  code: Type.Enum(TROUBLES),
  severity: Type.Enum(['warning', 'critical']),
  sinceMs: Type.Integer({ minimum: 0 }),
  detail: Type.String(),
  /** What to do about it. */
  remedy: Type.String(),
});
export type Trouble = Static<typeof Trouble>;

/** That one was told and its end was not, at which severity at the most, and since when control finds it no more. */
export const ToldTrouble = Type.Object({
  code: Trouble.properties.code,
  severity: Trouble.properties.severity,
  sinceMs: Trouble.properties.sinceMs,
  goneAtMs: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
});
export type ToldTrouble = Static<typeof ToldTrouble>;
