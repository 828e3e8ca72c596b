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
import { allowlistFaults, laterFieldFaults } from './policy/allowlist-faults.ts';
import { virtualSiteFaults } from './policy/virtual-site-faults.ts';
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
/** More faults of one document than these help nobody; the rest is left out. */
const MAX_FAULTS = 64;

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

/**
 * The check of one kind: its form, and what its form can't say of all that has it, at once. `early` names fields better than
 * the schema does, which would call them unknown.
 */
function checked<T extends PlumblineDocument>(
  schema: TSchema & { properties: { kind: { const: T['kind'] } } },
  compiled: {
    Check(value: unknown): value is T;
    Errors(value: unknown): { instancePath: string; message: string }[];
  },
  meaningFaults: (document: unknown) => Fault[],
  early: (value: unknown) => Fault[] = () => [],
): (value: unknown) => CheckedDocument {
  return (value) => {
    const named = early(value);
    const form = schemaFaults(schema, value).filter(
      ({ pointer }) => !named.some((one) => one.pointer === pointer),
    );
    const faults = [...named, ...form, ...meaningFaults(value)];
    if (faults.length > 0) return { ok: false, faults: faults.slice(0, MAX_FAULTS) };
    if (compiled.Check(value)) return { ok: true, document: value };
    const rest = compiled.Errors(value).map(({ instancePath, message }) => ({
      pointer: instancePath,
      problem: message,
      remedy: `see the schema of ${schema.properties.kind.const}`,
    }));
    return { ok: false, faults: rest };
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

/** A fault with its place in a file; line and column count from 1. `field` is as "spec.selector", empty for the whole. */
export type SourceFault = Omit<Fault, 'pointer'> & {
  file: string;
  line: number;
  column: number;
  field: string;
};
type Place = Pick<SourceFault, 'file' | 'line' | 'column'>;
export type SourceDocument = {
  file: string;
  line: number;
  document: PlumblineDocument;
  /** Where a fault of it stands, for what only shows beside other documents. */
  placed(fault: Fault): SourceFault;
};

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
  const place = (offset: number): Place => {
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
    const placed = ({ pointer, problem, remedy }: Fault): SourceFault => ({
      ...place(offsetOf(root, pointer)),
      field: fieldOf(pointer),
      problem,
      remedy,
    });
    if (checked.ok) {
      const { line } = place(root.range?.[0] ?? 0);
      documents.push({ file, line, document: checked.document, placed });
    } else faults.push(...checked.faults.map(placed));
  }
  faults.sort((a, b) => a.line - b.line || a.column - b.column);
  return { documents, faults };
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
