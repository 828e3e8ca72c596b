/** Where a link leads: `tcp://host:port`, or `http(s)://...`. */
export type LinkTarget = {
  protocol: 'tcp' | 'http';
  url: URL;
  host: string;
  port: number;
  /** As reports and people see it: without user, password and query, which may be secret. */
  shown: string;
};

export function parseLinkUrl(text: string): { ok: true; target: LinkTarget } | { ok: false; reason: string } {
  if (!URL.canParse(text))
    return { ok: false, reason: `"${text}" is not a URL; write tcp://host:port or https://host/path` };
  const url = new URL(text);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : url.protocol === 'http:' ? 80 : 0));
  if (url.protocol === 'tcp:') {
    if (host === '' || port === 0)
      return { ok: false, reason: `"${text}" needs a host and a port, as tcp://host:port` };
    return { ok: true, target: { protocol: 'tcp', url, host, port, shown: `${url.hostname}:${port}` } };
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return {
      ok: false,
      reason: `${url.protocol.slice(0, -1)} is not a protocol of links; use tcp, http or https`,
    };
  const shown = `${url.origin}${url.pathname}`.slice(0, 255);
  return { ok: true, target: { protocol: 'http', url, host, port, shown } };
}
