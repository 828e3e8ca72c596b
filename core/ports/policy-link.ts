import type { Envelope, Version } from '../model/signed.ts';

/** What a site holds, told on every fresh channel so that the hub sends what is newer or missing. Keys as in core/model/signed.ts. */
export type Holdings = { targets: readonly { key: string; version: Version }[]; specs: readonly string[] };

export type Documents = {
  envelopes: readonly Envelope[];
  /** The last of what the hub has for this site now: a target that came not is one that the hub does not speak of. */
  whole: boolean;
};

/*
 * A site's way to hear policy. The transport is trusted for nothing but reaching the hub: documents are signed.
 *
 * - `listen` is called once, before the uplink starts. `holdings` is asked on every fresh channel. `tell` says it anew on the
 *   one that there is, so that the hub sends again what it sent and the site does not hold.
 * - `confirm` looks the hub's name up afresh, opens a new connection, and has the hub prove itself by the site's key, within
 *   `withinMs`. `unreachable`: no connection came about. `unanswered`: one did, so that nothing on the way cuts it off, but the
 *   hub did not answer. `unauthentic` is a hub that answered and is another. `isHubThere`: the channel of before has lasted,
 *   and brought word of the hub until the end, so that only new connections fail.
 */
export type Confirmation =
  | { ok: true }
  | {
      ok: false;
      code: 'unreachable' | 'unanswered' | 'unauthentic';
      detail: string;
      isHubThere: boolean;
    };

export interface PolicyLink {
  listen(holdings: () => Holdings, onDocuments: (documents: Documents) => void): void;
  tell(holdings: Holdings): void;
  confirm(withinMs: number): Promise<Confirmation>;
}
