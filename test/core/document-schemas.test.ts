import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Compile } from 'typebox/compile';
import { expect, test } from 'vitest';
import { checkDocument, DOCUMENT_KINDS } from '../../core/document.ts';
import { documentSchema } from '../../core/document-schemas.ts';

const SCHEMAS = fileURLToPath(new URL('../../schemas/', import.meta.url));

test.each(DOCUMENT_KINDS)(
  'schemas/%s.json is the form that is checked (renew it with `vitest run test/core/document-schemas.test.ts -u`)',
  async (kind) => {
    await expect(`${JSON.stringify(documentSchema(kind), null, 2)}\n`).toMatchFileSnapshot(
      `${SCHEMAS}${kind}.json`,
    );
  },
);

test('there is a schema for every kind of document, and for nothing else', () => {
  expect(readdirSync(SCHEMAS).sort()).toEqual(DOCUMENT_KINDS.map((kind) => `${kind}.json`).sort());
});

test('what is written stands by itself: no reference leads out of it, and every pattern compiles', () => {
  for (const kind of DOCUMENT_KINDS) {
    const text = JSON.stringify(documentSchema(kind));
    expect(text).not.toContain('"$ref"');
    for (const [, pattern] of text.matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g))
      expect(() => new RegExp(JSON.parse(pattern ?? '""'), 'u')).not.toThrow();
  }
});

test('a document that is taken fits its schema as it is read back from JSON', () => {
  const document = {
    apiVersion: 'plumbline.io/v1',
    kind: 'Allowlist',
    metadata: { name: 'payments' },
    spec: {
      workloads: {},
      egress: [{ name: 'r', to: ['https://a.example', { cidr: '10.0.0.0/8', ports: ['1/UDP'] }] }],
    },
    rollout: { stages: [{ virtualSite: 'test', verify: { soak: '10m' } }] },
  };
  expect(checkDocument(document).ok).toBe(true);
  const schema = JSON.parse(JSON.stringify(documentSchema('Allowlist')));
  expect(Compile(schema).Check(document)).toBe(true);
  expect(Compile(schema).Check({ ...document, spec: {} })).toBe(false);
});
