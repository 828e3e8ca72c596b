import { whyNoNamespaces } from './means.ts';
import { NetworkScene } from './network-scene.ts';
import type { Scene } from './scene.ts';
import { SimulatedScene } from './simulated-scene.ts';
import { Story } from './story.ts';
import { Teller } from './teller.ts';

export type PlayOptions = {
  /** Simulated sites even where namespaces would do. */
  simulated: boolean;
  /** The hub goes on until `signal`. */
  keep: boolean;
  out: NodeJS.WritableStream;
  color: boolean;
  columns: number;
  /** What the processes find programs by, and whose home they are in. */
  env: Record<string, string>;
  signal: AbortSignal;
};

const ENDINGS = ['SIGINT', 'SIGTERM'] as const;
const ignore = () => undefined;

/** Plays the story to its end and leaves nothing. Resolves with whether it went as it should; says so, or what was different. */
export async function play(given: PlayOptions): Promise<boolean> {
  const hangUp = new AbortController();
  const onHangUp = () => hangUp.abort();
  process.on('SIGHUP', onHangUp);
  // Somebody in a hurry must not end it while it clears up.
  for (const name of ENDINGS) process.on(name, ignore);
  try {
    return await playUntil({ ...given, signal: AbortSignal.any([given.signal, hangUp.signal]) });
  } finally {
    process.off('SIGHUP', onHangUp);
    for (const name of ENDINGS) process.off(name, ignore);
  }
}

async function playUntil(options: PlayOptions): Promise<boolean> {
  const { signal, keep } = options;
  const teller = new Teller(options);
  const startedMs = performance.now();
  let scene: Scene | null = null;
  let isGood = false;
  try {
    scene = open(options, teller);
    await new Story(scene, teller, signal).tell();
    isGood = true;
    teller.chapter(`The end, as it should be (${((performance.now() - startedMs) / 1000).toFixed(0)} s).`);
    if (keep) await goOn(scene, teller, signal);
  } catch (error) {
    if (signal.aborted) teller.bad('Stopped before its end.');
    else teller.bad(`This was different: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await scene?.stop();
  }
  teller.say('Nothing is left of it: its processes, files and namespaces are gone.');
  return isGood;
}

function open({ simulated, env, signal }: PlayOptions, teller: Teller): Scene {
  const why = simulated ? '--simulated was asked for' : whyNoNamespaces();
  teller.chapter('Plumbline: an allowlist from test to prod, and proof that it took effect');
  if (why === null) {
    teller.say(
      'With real packets: this is root, and ip, nft and setpriv work here. Hub, sites and servers are processes in network namespaces of their own; the firewall of this machine is not touched.',
    );
    return new NetworkScene(env, signal);
  }
  teller.say(
    `With simulated sites, since ${why}. The hub, the commands, the rollout and the sites' policy agents are the real ones; packets, names and rules in the kernel are a model.`,
  );
  return new SimulatedScene(env, signal);
}

async function goOn(scene: Scene, teller: Teller, signal: AbortSignal): Promise<void> {
  for (const line of scene.reach()) teller.printed(line);
  teller.say('Ctrl-C ends it and removes everything.');
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
