import Type from 'typebox';
import { createHub } from '../cli/hub-client.ts';
import { SiteDetail } from '../core/model/view.ts';

const Invitation = Type.Object({ token: Type.String() });

/** A join token for the machine that the hub itself runs on, asked for as any other: through the hub's own door. */
export async function inviteLocalSite(
  hub: { url: string; ca: string | null; token: string },
  site: string,
): Promise<string> {
  const api = createHub({ url: new URL(hub.url), token: hub.token, ca: hub.ca });
  const known = await api.list('/api/v1/sites', SiteDetail.properties.site);
  const { token } = known.some(({ id }) => id === site)
    ? await api.send('POST', `/api/v1/sites/${site}/token`, Invitation)
    : await api.send('POST', '/api/v1/sites', Invitation, { name: site, labels: {} });
  return token;
}
