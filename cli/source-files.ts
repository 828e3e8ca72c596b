import { type Dirent, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { readDocuments, type SourceDocument, type SourceFault } from '../core/document.ts';
import { EXIT, Refusal } from './exit.ts';
import type { Terminal } from './terminal.ts';

/** Deepest folder that `-f DIR` looks into, and how many files it reads. */
const MAX_DEPTH = 8;
const MAX_FILES = 1000;
const EXTENSIONS = /\.(ya?ml|json)$/;

/** All documents that `-f FILE|DIR|-` names, in the order of files, and every fault in them. */
export async function readSources(
  names: readonly string[],
  terminal: Terminal,
): Promise<{ documents: SourceDocument[]; faults: SourceFault[] }> {
  const documents: SourceDocument[] = [];
  const faults: SourceFault[] = [];
  for (const name of names) {
    const files = name === '-' ? ['-'] : filesOf(name);
    for (const file of files) {
      const text = file === '-' ? await readAll(terminal.input) : readFileSync(file, 'utf8');
      const read = readDocuments(file === '-' ? 'standard input' : file, text);
      for (const document of read.documents) documents.push(document);
      for (const fault of read.faults) faults.push(fault);
    }
  }
  faults.push(...repeated(documents));
  if (documents.length === 0 && faults.length === 0)
    throw new Refusal(EXIT.usage, `There is no document in ${names.join(', ')}.`);
  return { documents, faults };
}

/** One line a fault: file, line, column, field, what is wrong, what to do. */
export function faultText({ file, line, column, field, problem, remedy }: SourceFault): string {
  return `${file}:${line}:${column}: ${field === '' ? '' : `${field}: `}${problem}; ${remedy}`;
}

/** The same for what the hub says of a field of a document. */
export function placedText(source: SourceDocument, pointer: string, text: string): string {
  const { file, line, column, field } = source.placed({ pointer, problem: text, remedy: '' });
  return `${file}:${line}:${column}: ${field === '' ? '' : `${field}: `}${text}`;
}

function filesOf(name: string): string[] {
  if (!existsSync(name)) throw new Refusal(EXIT.usage, `There is no file or folder ${name}.`);
  if (!statSync(name).isDirectory()) return [name];
  const files = filesBelow(name, 0);
  if (files.length === 0) throw new Refusal(EXIT.usage, `There is no .yaml, .yml or .json file in ${name}.`);
  if (files.length > MAX_FILES)
    throw new Refusal(EXIT.usage, `${name} has more than ${MAX_FILES} files; name a smaller folder.`);
  return files;
}

function filesBelow(dir: string, depth: number): string[] {
  if (depth > MAX_DEPTH) return [];
  const byName = (a: Dirent, b: Dirent) => (a.name < b.name ? -1 : 1);
  return readdirSync(dir, { withFileTypes: true })
    .sort(byName)
    .flatMap((entry) => {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) return entry.name.startsWith('.') ? [] : filesBelow(path, depth + 1);
      return EXTENSIONS.test(entry.name) ? [path] : [];
    });
}

/** The same resource twice would make the result depend on the order of files. */
function repeated(documents: readonly SourceDocument[]): SourceFault[] {
  const first = new Map<string, SourceDocument>();
  return documents.flatMap((source) => {
    const key = `${source.document.kind}/${source.document.metadata.name}`;
    const before = first.get(key);
    if (before === undefined) {
      first.set(key, source);
      return [];
    }
    const { file, line } = source;
    const problem = `${key} stands at ${before.file}:${before.line} already`;
    return [{ file, line, column: 1, field: 'metadata.name', problem, remedy: 'keep one of them' }];
  });
}
