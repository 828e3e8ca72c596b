const PROSE_COLUMNS = 80;
const MOST_COLUMNS = 120;

export type TellerOptions = { out: NodeJS.WritableStream; color: boolean; columns: number };

/** Tells the story: chapters, sentences, what a person types, and what that prints, at the width of the terminal. */
export class Teller {
  readonly #out: NodeJS.WritableStream;
  readonly #color: boolean;
  readonly #columns: number;
  /** Whether the last line was a command's: what is told next stands apart from it. */
  #isPrinted = false;

  constructor({ out, color, columns }: TellerOptions) {
    this.#out = out;
    this.#color = color;
    this.#columns = Math.min(Math.max(columns, 40), MOST_COLUMNS);
  }

  chapter(title: string): void {
    this.#isPrinted = false;
    this.#line('');
    this.#line(this.#paint('1', title));
  }

  say(text: string): void {
    this.#stepAway();
    for (const line of wrapped(text, Math.min(this.#columns, PROSE_COLUMNS), '')) this.#line(line);
  }

  typed(argv: readonly string[]): void {
    this.#line('');
    const words = argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`));
    const lines = wrapped(`$ ${words.join(' ')}`, this.#columns - 2, '    ');
    for (const [i, line] of lines.entries())
      this.#line(this.#paint('36', i < lines.length - 1 ? `${line} \\` : line));
  }

  /** What a command printed: sentences are wrapped, and columns are cut where the terminal ends. */
  printed(text: string): void {
    for (const line of text.trimEnd().split('\n'))
      for (const part of fitted(line, this.#columns)) this.#line(part);
    this.#isPrinted = true;
  }

  /** For what was left out of it. */
  leftOut(): void {
    this.#line(this.#paint('90', '…'));
  }

  good(text: string): void {
    this.#verdict('32', '✓', text);
  }

  bad(text: string): void {
    this.#verdict('31', '✗', text);
  }

  #verdict(sgr: string, sign: string, text: string): void {
    this.#stepAway();
    const [first = '', ...others] = wrapped(text, Math.min(this.#columns, PROSE_COLUMNS) - 2, '');
    this.#line(`${this.#paint(sgr, sign)} ${first}`);
    for (const line of others) this.#line(`  ${line}`);
  }

  #paint(sgr: string, text: string): string {
    return this.#color ? `\u001b[${sgr}m${text}\u001b[0m` : text;
  }

  #stepAway(): void {
    if (this.#isPrinted) this.#line('');
    this.#isPrinted = false;
  }

  #line(text: string): void {
    this.#out.write(`${text}\n`);
  }
}

function fitted(line: string, columns: number): string[] {
  if (line.length <= columns) return [line];
  const text = line.trimStart();
  const indent = line.slice(0, line.length - text.length);
  const [, label = '', words = ''] = /^(\S+(?: \S+)? {2,})(\S+(?: \S+)*)$/.exec(text) ?? [];
  if (label !== '') {
    const margin = indent + ' '.repeat(label.length);
    return wrapped(words, columns - margin.length, '').map(
      (part, i) => (i === 0 ? indent + label : margin) + part,
    );
  }
  const hasColumns = /\S {2,}\S/.test(text.replaceAll('  |  ', ' | '));
  const hasWord = text.split(' ').every((word) => word.length <= columns - indent.length - 2);
  if (hasColumns || !hasWord) return [`${line.slice(0, columns - 1)}…`];
  return wrapped(text, columns - indent.length, '  ').map((part) => indent + part);
}

function wrapped(text: string, columns: number, hanging: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = hanging + word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
