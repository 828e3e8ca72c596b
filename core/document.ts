import { isIP } from 'node:net';
import type { TSchema } from 'typebox';
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
import { pointerNames } from './json-pointer.ts';
import { AllowlistDocument } from './model/allowlist.ts';
import { VirtualSiteDocument } from './model/resource.ts';
import { nearest } from './nearest.ts';
import { allowlistFaults, laterFieldFaults, selectorFaults } from './policy/allowlist-faults.ts';
import { type Fault, schemaFaults } from './schema-faults.ts';

/** Kinds that documents can have, and those that a later version brings, so that the refusal can say so. */
export const DOCUMENT_KINDS = ['VirtualSite', 'Allowlist'] as const;
export type DocumentKind = (typeof DOCUMENT_KINDS)[number];
const LATER_KINDS: readonly string[] = ['Quota'];

/** What a person may write. */
export type PlumblineDocument = VirtualSiteDocument | AllowlistDocument;

/** The largest file of documents, in characters, and the most documents in one. */
const MAX_SOURCE_CHARACTERS = 1024 * 1024;
const MAX_DOCUMENTS = 1000;
const MAX_YAML_ERRORS = 4;

export type CheckedDocument = { ok: true; document: PlumblineDocument } | { ok: false; faults: Fault[] };

const virtualSite = Compile(VirtualSiteDocument);
const allowlist = Compile(AllowlistDocument);
const KINDS = {
  VirtualSite: checked(VirtualSiteDocument, virtualSite, virtualSiteFaults),
  Allowlist: checked(AllowlistDocument, allowlist, allowlistFaults, laterFieldFaults),
} as const satisfies Record<DocumentKind, (value: unknown) => CheckedDocument>;

/** Whether a value is a document that the hub takes; the one check that the CLI and the API share. */
export function checkDocument(value: unknown): CheckedDocument {
  const named = typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined;
  if (typeof named !== 'string') return KINDS.VirtualSite(value);
  const kind = DOCUMENT_KINDS.find((known) => known === named);
  return kind === undefined ? { ok: false, faults: [kindFault(named)] } : KINDS[kind](value);
}

/** The check of one kind: its form first, what its form can't say only then. `early` looks before the schema does. */
function checked<T extends PlumblineDocument>(
  schema: TSchema & { properties: { kind: { const: T['kind'] } } },
  compiled: {
    Check(value: unknown): value is T;
    Errors(value: unknown): { instancePath: string; message: string }[];
  },
  meaningFaults: (document: T) => Fault[],
  early: (value: unknown) => Fault[] = () => [],
): (value: unknown) => CheckedDocument {
  return (value) => {
    const before = early(value);
    if (before.length > 0) return { ok: false, faults: before };
    const faults = schemaFaults(schema, value);
    if (faults.length > 0) return { ok: false, faults };
    if (!compiled.Check(value)) {
      const rest = compiled.Errors(value).map(({ instancePath, message }) => ({
        pointer: instancePath,
        problem: message,
        remedy: `see the schema of ${schema.properties.kind.const}`,
      }));
      return { ok: false, faults: rest };
    }
    const meaning = meaningFaults(value);
    return meaning.length > 0 ? { ok: false, faults: meaning } : { ok: true, document: value };
  };
}

function kindFault(kind: string): Fault {
  if (LATER_KINDS.includes(kind))
    return {
      pointer: '/kind',
      problem: `this version does not take kind ${kind} yet`,
      remedy: `leave the document out, or use a version that does; ${DOCUMENT_KINDS.join(', ')} are known`,
    };
  const meant = nearest(kind, [...DOCUMENT_KINDS, ...LATER_KINDS]);
  return {
    pointer: '/kind',
    problem: `"${kind}" is not a known kind`,
    remedy: meant === null ? `write ${DOCUMENT_KINDS.join(' or ')}` : `did you mean "${meant}"?`,
  };
}

/** What the schema of a virtual site can't say: that the selector can be read, and that guard rails name networks. */
function virtualSiteFaults({ spec }: VirtualSiteDocument): Fault[] {
  const networks = (spec.guard?.forbidden ?? []).flatMap((network, i) =>
    isNetwork(network)
      ? []
      : [
          {
            pointer: `/spec/guard/forbidden/${i}`,
            problem: `"${network}" is not a network`,
            remedy: 'write an address with its prefix length, as 169.254.169.254/32',
          },
        ],
  );
  return [...selectorFaults(spec.selector, '/spec/selector'), ...networks];
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
export type SourceDocument = { file: string; line: number; document: PlumblineDocument };

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
      // One mistake makes an error of every word after it: the first few are what helps.
      for (const error of yaml.errors.slice(0, MAX_YAML_ERRORS))
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

function fieldOf(pointer: string): string {
  return pointerNames(pointer)
    .map((name, i) => (/^\d+$/.test(name) ? `[${name}]` : i === 0 ? name : `.${name}`))
    .join('');
}
