import { getSession } from '../hub.ts';
import type { FeedWorld } from './feed.ts';

/** What the live feed needs, from the browser. */
export const browserWorld: FeedWorld = {
  open(on) {
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(`${scheme}//${location.host}/api/v1/live`);
    socket.onopen = () => on.open();
    socket.onclose = ({ code }) => on.close(code);
    socket.onmessage = (event) => {
      if (typeof event.data === 'string') on.text(event.data);
    };
    return {
      send: (text) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(text);
      },
      close: () => socket.close(),
    };
  },
  async session() {
    const answer = await getSession();
    if (answer.ok) return 'signed-in';
    return answer.code === 'unauthorized' ? 'signed-out' : 'unreachable';
  },
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
