import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';

/** A request has to arrive whole within this time; an idle connection is kept for as long as KEEP_ALIVE_MS. */
const REQUEST_WITHIN_MS = 30_000;
const HEADERS_WITHIN_MS = 10_000;
const KEEP_ALIVE_MS = 65_000;
const MAX_CONNECTIONS = 30_000;

export type Certificate = { key: string; cert: string };

/** An HTTP or HTTPS server that waits for nobody for ever. */
export function openServer(listener: RequestListener, tls: Certificate | null): Server {
  const limits = {
    requestTimeout: REQUEST_WITHIN_MS,
    headersTimeout: HEADERS_WITHIN_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  const server =
    tls === null
      ? createServer(limits, listener)
      : createSecureServer(
          {
            ...limits,
            key: tls.key,
            cert: tls.cert,
            minVersion: 'TLSv1.2',
            handshakeTimeout: HEADERS_WITHIN_MS,
          },
          listener,
        );
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}
