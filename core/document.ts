import { isIP } from 'node:net';
import { Compile } from 'typebox/compile';
import {
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from 'yaml';
import { VirtualSiteDocument } from './model/resource.ts';
import { nearest } from './nearest.ts';
import { type Fault, schemaFaults } from './schema-faults.ts';
import { parseSelector } from './selector.ts';

/** Kinds that documents can have, and those that a later version brings, so that the refusal can say so. */
const KINDS = ['VirtualSite'] as const;
const LATER_KINDS: readonly string[] = ['Allowlist', 'Quota'];

/** The largest file of documents, in characters, and the most documents in one. */
const MAX_SOURCE_CHARACTERS = 1024 * 1024;
const MAX_DOCUMENTS = 1000;

const compiled = Compile(VirtualSiteDocument);

export type CheckedDocument = { ok: true; document: VirtualSiteDocument } | { ok: false; faults: Fault[] };

/** Whether a value is a document that the hub takes; the one check that the CLI and the API share. */
export function checkDocument(value: unknown): CheckedDocument {
  const kind = kindFault(value);
  if (kind !== null) return { ok: false, faults: [kind] };
  const faults = schemaFaults(VirtualSiteDocument, value);
  if (faults.length > 0) return { ok: false, faults };
  if (!compiled.Check(value)) {
    const rest = compiled.Errors(value);
    return {
      ok: false,
      faults: rest.map((error) => ({
        pointer: error.instancePath,
        problem: error.message,
        remedy: 'see the schema of VirtualSite',
      })),
    };
  }
  const meaning = meaningFaults(value);
  return meaning.length > 0 ? { ok: false, faults: meaning } : { ok: true, document: value };
}

function kindFault(value: unknown): Fault | null {
  const kind = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
  if (typeof kind !== 'string' || KINDS.some((known) => known === kind)) return null;
  if (LATER_KINDS.includes(kind))
    return {
      pointer: '/kind',
      problem: `this version does not take kind ${kind} yet`,
      remedy: `leave the document out, or use a version that does; ${KINDS.join(', ')} is known`,
    };
  const meant = nearest(kind, [...KINDS, ...LATER_KINDS]);
  return {
    pointer: '/kind',
    problem: `"${kind}" is not a known kind`,
    remedy: meant === null ? `write ${KINDS.join(' or ')}` : `did you mean "${meant}"?`,
  };
}

/** What a schema can't say: that the selector can be read, and that guard rails name networks. */
function meaningFaults(document: VirtualSiteDocument): Fault[] {
  const faults: Fault[] = [];
  const selector = parseSelector(document.spec.selector);
  if (!selector.ok) {
    const inObject = selector.at.startsWith('/');
    faults.push({
      pointer: `/spec/selector${inObject ? selector.at : ''}`,
      problem: inObject ? selector.reason : `at ${selector.at}: ${selector.reason}`,
      remedy: 'write it as "env in (prod,test),!maintenance" or with matchLabels',
    });
  }
  for (const [i, network] of (document.spec.guard?.forbidden ?? []).entries())
    if (!isNetwork(network))
      faults.push({
        pointer: `/spec/guard/forbidden/${i}`,
        problem: `"${network}" is not a network`,
        remedy: 'write an address with its prefix length, as 169.254.169.254/32',
      });
  return faults;
}

function isNetwork(text: string): boolean {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const family = isIP(match?.[1] ?? '');
  return family !== 0 && Number(match?.[2]) <= (family === 4 ? 32 : 128);
}

/** A fault with its place in a file; line and column count from 1. `field` is as "spec.selector", empty for the whole. */
export type SourceFault = Omit<Fault, 'pointer'> & {
  file: string;
  line: number;
  column: number;
  field: string;
};
export type SourceDocument = { file: string; line: number; document: VirtualSiteDocument };

/** Reads the YAML documents (JSON is YAML) of one file; empty ones are skipped. Never throws. */
export function readDocuments(
  file: string,
  text: string,
): { documents: SourceDocument[]; faults: SourceFault[] } {
  const documents: SourceDocument[] = [];
  const faults: SourceFault[] = [];
  const whole = (problem: string, remedy: string) => ({
    documents: [],
    faults: [{ file, line: 1, column: 1, field: '', problem, remedy }],
  });
  if (text.length > MAX_SOURCE_CHARACTERS)
    return whole(`the file has ${text.length} characters`, `split it; ${MAX_SOURCE_CHARACTERS} are the most`);
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  if ('empty' in parsed) return { documents, faults };
  if (parsed.length > MAX_DOCUMENTS)
    return whole(`the file has ${parsed.length} documents`, `split it; ${MAX_DOCUMENTS} are the most`);
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  for (const yaml of parsed) {
    if (yaml.errors.length > 0) {
      for (const error of yaml.errors)
        faults.push({
          ...place(error.pos[0]),
          field: '',
          problem: error.message,
          remedy: 'correct the YAML',
        });
      continue;
    }
    const root = yaml.contents;
    if (root === null || (isScalar(root) && root.value === null)) continue;
    const alias = aliasFault(root);
    if (alias !== null) {
      faults.push({
        ...place(alias),
        field: '',
        problem: 'anchors and aliases are not taken',
        remedy: 'write the value out',
      });
      continue;
    }
    const checked = checkDocument(yaml.toJS());
    if (checked.ok) documents.push({ ...placeLine(place(root.range?.[0] ?? 0)), document: checked.document });
    else
      for (const { pointer, problem, remedy } of checked.faults)
        faults.push({ ...place(offsetOf(root, pointer)), field: fieldOf(pointer), problem, remedy });
  }
  return { documents, faults };
}

function placeLine({ file, line }: { file: string; line: number }): { file: string; line: number } {
  return { file, line };
}

/** Where the first alias stands: refused, since a small file of them can unfold to gigabytes. */
function aliasFault(node: unknown): number | null {
  if (isAlias(node)) return node.range?.[0] ?? 0;
  const children = isMap(node) || isSeq(node) ? node.items : isPair(node) ? [node.key, node.value] : [];
  for (const child of children) {
    const found = aliasFault(child);
    if (found !== null) return found;
  }
  return null;
}

/** Where the field that a pointer names begins: at its key, or at the nearest parent that is there. */
function offsetOf(root: Node, pointer: string): number {
  let at = root.range?.[0] ?? 0;
  let node: unknown = root;
  for (const name of pointerNames(pointer)) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === name);
      if (pair === undefined) return at;
      at = isNode(pair.key) ? (pair.key.range?.[0] ?? at) : at;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(name)];
      at = isNode(node) ? (node.range?.[0] ?? at) : at;
    } else return at;
  }
  return at;
}

function pointerNames(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function fieldOf(pointer: string): string {
  return pointerNames(pointer)
    .map((name, i) => (/^\d+$/.test(name) ? `[${name}]` : i === 0 ? name : `.${name}`))
    .join('');
}
