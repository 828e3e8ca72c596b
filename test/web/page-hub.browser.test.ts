import { Hub } from '../parts/hub.ts';
import { until } from '../parts/process.ts';
import { pageSuite } from './page-suite.ts';

pageSuite('hub', async () => {
  const hub = new Hub({ localSite: true, env: { PLUMBLINE_INTERVAL: '1s' } });
  try {
    await hub.start();
    await hub.addSite('jp-tokyo-1', { env: 'test' });
    const heard = await until('the hub hears its own machine', async () =>
      (await hub.sites()).find((site) => site.receivedAtMs !== null),
    );
    const signInUrl = await until(
      'the hub prints its sign-in link',
      () => /https?:\S+\/signin#\S+/.exec(hub.output())?.[0],
    );
    return { url: hub.url, signInUrl, token: hub.token, site: heard.id, stop: () => hub.remove() };
  } catch (error) {
    await hub.remove();
    throw error;
  }
});
