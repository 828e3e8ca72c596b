import type { TSchema } from 'typebox';
import type { DocumentKind } from './document.ts';
import { AllowlistDocument } from './model/allowlist.ts';
import { VirtualSiteDocument } from './model/resource.ts';

const SCHEMAS: Readonly<Record<DocumentKind, TSchema>> = {
  VirtualSite: VirtualSiteDocument,
  Allowlist: AllowlistDocument,
};

/**
 * The JSON Schema (draft 2020-12) of a kind of document, for editors: what schemas/<kind>.json holds and the hub serves. It
 * says the form; what a form can't say (addresses, names that repeat) is `plumbline validate`'s.
 */
export function documentSchema(kind: DocumentKind): Record<string, unknown> {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `https://plumbline.io/schemas/${kind}.json`,
    title: `Plumbline ${kind}`,
    ...SCHEMAS[kind],
  };
}
