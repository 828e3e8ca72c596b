import { type ColumnType, type RowOf, STORE_TABLES, type StoreTable } from '../../core/model/rows.ts';

/*
 * Rows into ClickHouse's Native format (https://clickhouse.com/docs/interfaces/formats/Native): column after column, each
 * as the server keeps it in memory, so that it has next to nothing to parse. The code of each column is generated from
 * STORE_TABLES, with the column's name in it as a literal: one shared closure over `row[name]` would be megamorphic and
 * take four times as long.
 */

/** Where a batch's bytes go: one growing buffer, used again for the next batch. */
export class NativeBuffer {
  bytes: Buffer;
  view: DataView;
  length = 0;

  constructor(sizeBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(sizeBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for so many more bytes. */
  reserve(moreBytes: number): void {
    if (this.length + moreBytes <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + moreBytes));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  varint(value: number): void {
    this.reserve(10);
    let rest = value;
    while (rest > 127) {
      this.bytes[this.length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.length++] = rest;
  }

  /** Length and UTF-8 bytes. Short ASCII, which nearly all names are, is written without leaving JavaScript. */
  text(value: string): void {
    const { length } = value;
    if (length < 48) {
      this.reserve(1 + length);
      const start = this.length;
      const { bytes } = this;
      bytes[start] = length;
      let index = 0;
      for (; index < length; index++) {
        const code = value.charCodeAt(index);
        if (code > 127) break;
        bytes[start + 1 + index] = code;
      }
      if (index === length) {
        this.length = start + 1 + length;
        return;
      }
    }
    const sizeBytes = Buffer.byteLength(value);
    this.varint(sizeBytes);
    this.reserve(sizeBytes);
    this.length += this.bytes.write(value, this.length, sizeBytes, 'utf8');
  }

  raw(value: Uint8Array): void {
    this.varint(value.byteLength);
    this.reserve(value.byteLength);
    this.bytes.set(value, this.length);
    this.length += value.byteLength;
  }
}

/** A fixed-width element: its bytes, and the statement that writes `v` at `at` of `view`. */
const FIXED: Readonly<Record<string, { sizeBytes: number; write: string }>> = {
  UInt8: { sizeBytes: 1, write: 'view.setUint8(at, v);' },
  UInt16: { sizeBytes: 2, write: 'view.setUint16(at, v, true);' },
  UInt32: { sizeBytes: 4, write: 'view.setUint32(at, v, true);' },
  Int32: { sizeBytes: 4, write: 'view.setInt32(at, v, true);' },
  Float32: { sizeBytes: 4, write: 'view.setFloat32(at, v, true);' },
  // Two halves, because a BigInt for each number costs an allocation. Floor keeps negative times right.
  UInt64: {
    sizeBytes: 8,
    write: 'view.setUint32(at, v, true); view.setUint32(at + 4, Math.floor(v / 4294967296), true);',
  },
  'DateTime64(3)': {
    sizeBytes: 8,
    write: 'view.setUint32(at, v, true); view.setUint32(at + 4, Math.floor(v / 4294967296), true);',
  },
};

/** How the column is called in the bytes. The server makes a LowCardinality from plain strings faster than we do. */
function wireType(type: ColumnType): string {
  if (type === 'Bytes' || type === 'LowCardinality(String)') return 'String';
  return type === 'Array(LowCardinality(String))' ? 'Array(String)' : type;
}

/** Statements that write the column `name` of `rows` to `out`. */
function columnCode(name: string, type: ColumnType): string {
  const each = (body: string) =>
    `for (let i = 0; i < rows.length; i++) { const v = rows[i].${name}; ${body} }`;
  const wire = wireType(type);
  if (type === 'Bytes') return each('out.raw(v);');
  if (wire === 'String') return each('out.text(v);');
  const inner = /^(Nullable|Array)\((.*)\)$/.exec(wire);
  if (inner?.[1] === 'Nullable') {
    const { sizeBytes, write } = fixed(inner[2]);
    return `out.reserve(rows.length * ${1 + sizeBytes}); { const { view } = out; let at = out.length;
      ${each('view.setUint8(at++, v === null ? 1 : 0);')}
      for (let i = 0; i < rows.length; i++) { const v = rows[i].${name} ?? 0; ${write} at += ${sizeBytes}; }
      out.length = at; }`;
  }
  if (inner?.[1] === 'Array') {
    const offsets = `let total = 0; out.reserve(rows.length * 8); { const { view } = out; let at = out.length;
      ${each('total += v.length; view.setUint32(at, total, true); view.setUint32(at + 4, 0, true); at += 8;')}
      out.length = at; }`;
    if (inner[2] === 'String') return offsets + each('for (let j = 0; j < v.length; j++) out.text(v[j]);');
    const { sizeBytes, write } = fixed(inner[2]);
    return `${offsets} out.reserve(total * ${sizeBytes}); { const { view } = out; let at = out.length;
      for (let i = 0; i < rows.length; i++) { const list = rows[i].${name};
        for (let j = 0; j < list.length; j++) { const v = list[j]; ${write} at += ${sizeBytes}; } }
      out.length = at; }`;
  }
  const { sizeBytes, write } = fixed(wire);
  return `out.reserve(rows.length * ${sizeBytes}); { const { view } = out; let at = out.length;
    ${each(`${write} at += ${sizeBytes};`)} out.length = at; }`;
}

function fixed(type: string | undefined): { sizeBytes: number; write: string } {
  const found = FIXED[type ?? ''];
  if (found === undefined) throw new Error(`no encoder for column type ${type}`);
  return found;
}

type ColumnEncoder = (rows: readonly object[], out: NativeBuffer) => void;

function compileColumn(name: string, type: ColumnType): ColumnEncoder {
  if (!/^[a-z_0-9]+$/.test(name)) throw new Error(`not a column name: ${name}`);
  const make = new Function(`return (rows, out) => { ${columnCode(name, type)} };`);
  const encode: ColumnEncoder = make();
  return encode;
}

/** How rows of a table become bytes: its columns, what the bytes say of their types, and the function that writes them. */
export type TableEncoder<T extends StoreTable> = {
  columns: readonly string[];
  structure: string;
  /** Encodes one Native block after what `out` holds already. */
  encode: (rows: readonly RowOf<T>[], out: NativeBuffer) => void;
};

export function compileEncoder<T extends StoreTable>(table: T): TableEncoder<T> {
  const columns = Object.entries(STORE_TABLES[table]).map(([name, type]) => ({
    name,
    wire: wireType(type),
    encode: compileColumn(name, type),
  }));
  return {
    columns: columns.map(({ name }) => name),
    structure: columns.map(({ name, wire }) => `${name} ${wire}`).join(', '),
    encode: (rows, out) => {
      out.varint(columns.length);
      out.varint(rows.length);
      for (const { name, wire, encode } of columns) {
        out.text(name);
        out.text(wire);
        encode(rows, out);
      }
    },
  };
}
