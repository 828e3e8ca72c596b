import { EnforcerError } from '../../core/ports/enforcer.ts';

/** How a run of nft failed. `stale`: what it was told to change is not as it was a moment ago, or not there. */
export type RunFailure = { ok: false; code: EnforcerError['code']; detail: string; stale: boolean };

/*
 * nft ends with 1 whatever went wrong and says why in words only. The words after the last colon are the C library's for the
 * kernel's error number, in the C locale, and as stable as that.
 */
const KERNEL: readonly { says: RegExp; code: EnforcerError['code']; stale?: true }[] = [
  { says: /Operation not permitted|Permission denied|must be root/, code: 'not-permitted' },
  { says: /No such file or directory|File exists/, code: 'rejected', stale: true },
  {
    says: /(Protocol|Operation|Address family|Socket type) not supported|Function not implemented/,
    code: 'unsupported',
  },
  {
    says: /Device or resource busy|Resource temporarily unavailable|Interrupted system call|No buffer space|Cannot allocate memory/,
    code: 'busy',
  },
];

const REMEDY: Readonly<Record<EnforcerError['code'], string>> = {
  'not-permitted': 'run the collector as root or with the capability CAP_NET_ADMIN',
  unsupported:
    'this needs a kernel with nftables (nf_tables, nf_conntrack) and the package nftables, 1.0 or later',
  busy: 'it is tried again',
  rejected: 'the rules in force are as they were',
};

export function exitFailure(stderr: string): RunFailure {
  const known = KERNEL.find(({ says }) => says.test(stderr));
  const code = known?.code ?? 'rejected';
  return { ok: false, code, detail: detailOf(firstLine(stderr), code), stale: known?.stale ?? false };
}

/** nft itself could not be run. */
export function spawnFailure(error: Error & { code?: string }): RunFailure {
  const code =
    error.code === 'ENOENT'
      ? 'unsupported'
      : error.code === 'EACCES' || error.code === 'EPERM'
        ? 'not-permitted'
        : 'busy';
  return {
    ok: false,
    code,
    detail: detailOf(`nft could not be run (${error.code ?? error.message})`, code),
    stale: false,
  };
}

export function lateFailure(withinMs: number): RunFailure {
  return {
    ok: false,
    code: 'busy',
    detail: detailOf(`nft did not end within ${withinMs} ms`, 'busy'),
    stale: false,
  };
}

export function raised({ code, detail }: RunFailure): EnforcerError {
  return new EnforcerError(code, detail);
}

function detailOf(reason: string, code: EnforcerError['code']): string {
  return `${reason}; ${REMEDY[code]}`;
}

function firstLine(stderr: string): string {
  const line = stderr.split('\n').find((text) => text.trim() !== '') ?? 'nft gave no reason';
  return line.trim().slice(0, 160);
}
