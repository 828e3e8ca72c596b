import Type from 'typebox';
import { createHub } from '../cli/hub-client.ts';
import { SiteDetail } from '../core/model/view.ts';

const Invitation = Type.Object({ token: Type.String() });

/** The hub that runs in this very process, as its own machine's collector sees it: where it is now, and its front door. */
export type LocalHub = {
  readonly url: string;
  readonly ca: string | null;
  readonly site: string;
  /** Whether the site is registered and its newest invitation was used, so that the key it keeps is good. */
  hasJoined(): Promise<boolean>;
  /** A join token, asked for as any other. */
  invite(): Promise<string>;
};

export function localHub(hub: { url: string; ca: string | null; token: string }, site: string): LocalHub {
  const api = createHub({ url: new URL(hub.url), token: hub.token, ca: hub.ca });
  const isKnown = async () =>
    (await api.list('/api/v1/sites', SiteDetail.properties.site)).some(({ id }) => id === site);
  return {
    url: hub.url,
    ca: hub.ca,
    site,
    async hasJoined() {
      return (await isKnown()) && (await api.get(`/api/v1/sites/${site}`, SiteDetail)).joinedAtMs !== null;
    },
    async invite() {
      const { token } = (await isKnown())
        ? await api.send('POST', `/api/v1/sites/${site}/token`, Invitation)
        : await api.send('POST', '/api/v1/sites', Invitation, { name: site, labels: {} });
      return token;
    },
  };
}
