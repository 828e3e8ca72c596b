import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ACCESS } from '../../api/http/access.ts';
import { type Door, openDoor } from './door.ts';

const GOLDEN = fileURLToPath(new URL('../../docs/openapi.json', import.meta.url));
const METHODS = ['get', 'put', 'post', 'patch', 'delete'];

type Operation = {
  summary?: string;
  tags?: string[];
  responses?: Record<string, unknown>;
  security?: unknown[];
};
type Document = {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
};

let door: Door;
let document: Document;
beforeAll(async () => {
  door = await openDoor({ withControl: false });
  // cast: what this test is about
  document = (await door.call('GET', '/api/v1/openapi.json', { token: null })).body as Document;
});
afterAll(() => door.close());

test('the published document is the one the hub serves (renew it with `vitest run test/api/openapi.test.ts -u`)', async () => {
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot(GOLDEN);
});

test('every route of the API is described, with a summary, its answers and problems', () => {
  expect(document.openapi).toBe('3.1.0');
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations)
      .filter((method) => METHODS.includes(method))
      .map((method) => `${method.toUpperCase()} ${path}`),
  );
  const routes = Object.keys(ACCESS)
    .filter((route) => route.includes('/api/v1/'))
    .map((route) => route.replace(/:(\w+)/g, '{$1}'));
  expect(described.toSorted()).toEqual(routes.toSorted());
  for (const [path, operations] of Object.entries(document.paths))
    for (const operation of Object.values(operations)) {
      expect(operation.summary, path).toBeTruthy();
      expect(operation.tags?.length, path).toBe(1);
      expect(Object.keys(operation.responses ?? {}), path).toContain('default');
    }
});

test('the document holds together: references resolve, path parameters are declared, patterns compile', () => {
  const walk = (value: unknown, visit: (node: Record<string, unknown>) => void): void => {
    if (typeof value !== 'object' || value === null) return;
    if (Array.isArray(value)) for (const item of value) walk(item, visit);
    else {
      visit({ ...value });
      for (const item of Object.values(value)) walk(item, visit);
    }
  };
  const text = JSON.stringify(document);
  walk(document, (node) => {
    if (typeof node.pattern === 'string') expect(() => new RegExp(String(node.pattern), 'u')).not.toThrow();
    if (typeof node.$ref === 'string') expect(text).toContain(`"${node.$ref.split('/').at(-1)}":`);
  });
  for (const [path, operations] of Object.entries(document.paths))
    for (const name of path.matchAll(/\{(\w+)\}/g))
      for (const operation of Object.values(operations))
        expect(JSON.stringify(operation), path).toContain(`"in":"path","name":"${name[1]}","required":true`);
});
