import { type ClientRequest, request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { connect, isIP, type LookupFunction } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { LinkTarget } from '../../core/link-target.ts';
import type { Attempt } from '../../core/link-window.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { LookUp } from './look-up.ts';

export type Timeouts = {
  /**
   * Until the connection stands. Below a second on purpose: TCP sends a lost SYN again after 1 s (RFC 6298), and who waits
   * for that sees a packet that was dropped as a slow answer instead of a loss.
   */
  connectMs: number;
  /** Until the answer begins, everything included; a server may think for longer than a packet is on its way. */
  answerMs: number;
};

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  EPERM: 'forbidden by a local firewall',
  EACCES: 'forbidden by a local firewall',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  EADDRNOTAVAIL: 'no local port is free',
};

/** One try over a new connection each time, since an open one outlives what would stop a new one. Never rejects. */
export type TryLink = (signal: AbortSignal) => Promise<Attempt>;

export function createTry(target: LinkTarget, timeouts: Timeouts, clock: Clock, lookUp: LookUp): TryLink {
  // Made once, since loading the roots costs more than the rest of an attempt; it keeps neither connection nor session.
  const agent =
    target.url.protocol === 'https:'
      ? new Agent({ secureContext: createSecureContext(), keepAlive: false, maxCachedSessions: 0 })
      : null;
  return async (signal) => {
    const startedMs = clock.monoMs();
    const found = await Promise.race([lookUp(target.host), expiry(timeouts.connectMs)]);
    if (!found.ok) return { outcome: 'loss', why: found.why };
    const left = { ...timeouts, connectMs: Math.max(1, timeouts.connectMs - (clock.monoMs() - startedMs)) };
    const answered = await (target.protocol === 'tcp'
      ? tryTcp(target, found.address, left, signal)
      : tryHttp(target, found.address, left, agent, signal));
    return answered ?? { outcome: 'answer', latencyMs: clock.monoMs() - startedMs };
  };
}

/** Null when it answered. */
type Failure = Exclude<Attempt, { outcome: 'answer' }> | null;

function tryTcp(
  target: LinkTarget,
  address: string,
  timeouts: Timeouts,
  signal: AbortSignal,
): Promise<Failure> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: target.port });
    const timer = setTimeout(
      () => finish({ outcome: 'loss', why: `no connection within ${Math.round(timeouts.connectMs)} ms` }),
      timeouts.connectMs,
    );
    function finish(failure: Failure): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', stopped);
      // A polite end: a reset would save us a TIME_WAIT, but peers log it, and careless ones fall over it.
      socket.destroy();
      resolve(failure);
    }
    const stopped = (): void => finish({ outcome: 'loss', why: 'stopped' });
    signal.addEventListener('abort', stopped, { once: true });
    socket.on('connect', () => finish(null));
    socket.on('error', (error) => finish({ outcome: 'loss', why: inWords(error) }));
  });
}

function tryHttp(
  target: LinkTarget,
  address: string,
  timeouts: Timeouts,
  agent: Agent | null,
  signal: AbortSignal,
): Promise<Failure> {
  return new Promise((resolve) => {
    let isConnected = false;
    const options = {
      signal,
      headers: { 'user-agent': 'plumbline', accept: '*/*' },
      lookup: fixedLookup(address),
      ...(target.url.username !== '' && {
        auth: `${decoded(target.url.username)}:${decoded(target.url.password)}`,
      }),
    };
    const request: ClientRequest =
      agent === null
        ? httpRequest(target.url, { ...options, agent: false })
        : httpsRequest(target.url, { ...options, agent });
    let timer = setTimeout(
      () => finish({ outcome: 'loss', why: `no connection within ${Math.round(timeouts.connectMs)} ms` }),
      timeouts.connectMs,
    );
    function finish(failure: Failure): void {
      clearTimeout(timer);
      request.destroy();
      resolve(failure);
    }
    request.on('socket', (socket) =>
      socket.once('connect', () => {
        isConnected = true;
        clearTimeout(timer);
        const leftMs = Math.max(1, timeouts.answerMs - timeouts.connectMs);
        timer = setTimeout(
          () => finish({ outcome: 'loss', why: `connected, but no answer within ${Math.round(leftMs)} ms` }),
          leftMs,
        );
      }),
    );
    request.on('response', (response) => {
      const status = response.statusCode ?? 0;
      finish(status >= 500 ? { outcome: 'error', why: `answered HTTP ${status}` } : null);
    });
    // Once the peer has taken the connection, a failure is an answer: of TLS, or of a protocol that is not HTTP.
    request.on('error', (error) =>
      finish({ outcome: isConnected && !signal.aborted ? 'error' : 'loss', why: inWords(error) }),
    );
    request.end();
  });
}

/** The name was looked up before, within the time limit; TLS still checks the certificate against the name. */
function fixedLookup(address: string): LookupFunction {
  const family = isIP(address);
  return (_host, options, done) =>
    options.all === true ? done(null, [{ address, family }]) : done(null, address, family);
}

function inWords(error: Error): string {
  const code = 'code' in error ? String(error.code) : '';
  const text =
    WORDS[code] ?? (code.includes('CERT') ? `certificate not accepted: ${error.message}` : error.message);
  return text.slice(0, 200);
}

/** Percent-encoding that is broken is meant as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function expiry(ms: number): Promise<{ ok: false; why: string }> {
  return new Promise((resolve) => {
    setTimeout(() => resolve({ ok: false, why: `DNS gave no answer within ${ms} ms` }), ms).unref();
  });
}
