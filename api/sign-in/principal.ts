import type { Role } from '../../core/model/role.ts';

/** Who asks, and as what. `by` is what audit events say. */
export type Principal = {
  by: string;
  role: Role;
  via: 'bearer' | 'cookie';
  /** When a cookie session ends, epoch ms; null for a bearer token. */
  expiresAtMs: number | null;
};
