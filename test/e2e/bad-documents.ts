/** A document as programs send it. */
export const document = (spec: object, more: object = {}) => ({
  apiVersion: 'plumbline.io/v1',
  kind: 'VirtualSite',
  metadata: { name: 'prod' },
  spec,
  ...more,
});

/** A document as a file's text; what the CLI says of it, and what the API says of the same value. */
type BadDocument = {
  what: string;
  text: string;
  cli: RegExp;
  value: unknown;
  api: { status: number; code: string; pointer: string; detail: RegExp };
};
/** What a file of documents begins with. */
export const HEAD = 'apiVersion: plumbline.io/v1\nkind: VirtualSite\nmetadata: {name: prod}\n';
export const BAD_DOCUMENTS: BadDocument[] = [
  {
    what: 'an unknown field',
    text: `${HEAD}spec:\n  selctor: env\n`,
    cli: /:5:3: spec\.selctor: "selctor" is not a field here; did you mean "selector"\?/,
    value: document({ selctor: 'env' }),
    api: {
      status: 422,
      code: 'invalid-document',
      pointer: '/spec/selctor',
      detail: /did you mean "selector"/,
    },
  },
  {
    what: 'a wrong selector',
    text: `${HEAD}spec:\n  selector: "env in prod"\n`,
    cli: /:5:3: spec\.selector: at character \d+: .*; write it as "env in \(prod,test\)/,
    value: document({ selector: 'env in prod' }),
    api: {
      status: 422,
      code: 'invalid-selector',
      pointer: '/spec/selector',
      detail: /write it as "env in \(prod/,
    },
  },
  {
    what: 'a kind that is not one',
    text: HEAD.replace('VirtualSite', 'VirtualSight'),
    cli: /:2:1: kind: "VirtualSight" is not a known kind; did you mean "VirtualSite"\?/,
    value: document({ selector: 'env' }, { kind: 'VirtualSight' }),
    api: { status: 422, code: 'invalid-document', pointer: '/kind', detail: /did you mean "VirtualSite"/ },
  },
  {
    what: 'a kind of a later version',
    text: HEAD.replace('VirtualSite', 'Quota'),
    cli: /:2:1: kind: this version does not take kind Quota yet; leave the document out/,
    value: document({}, { kind: 'Quota' }),
    api: { status: 422, code: 'invalid-document', pointer: '/kind', detail: /leave the document out/ },
  },
  {
    what: 'a wrong version',
    text: `${HEAD.replace('/v1', '/v2')}spec: {selector: env}\n`,
    cli: /:1:1: apiVersion: "plumbline\.io\/v2" is not known here; (write|did you mean) "?plumbline\.io\/v1/,
    value: document({ selector: 'env' }, { apiVersion: 'plumbline.io/v2' }),
    api: { status: 422, code: 'invalid-document', pointer: '/apiVersion', detail: /plumbline\.io\/v1/ },
  },
  {
    what: 'a guard that is no network',
    text: `${HEAD}spec:\n  selector: env\n  guard:\n    forbidden:\n      - 169.254.169.254\n`,
    cli: /:8:9: spec\.guard\.forbidden\[0\]: "169\.254\.169\.254" is not a network; write 169\.254\.169\.254\/32/,
    value: document({ selector: 'env', guard: { forbidden: ['169.254.169.254'] } }),
    api: {
      status: 422,
      code: 'invalid-document',
      pointer: '/spec/guard/forbidden/0',
      detail: /is not a network/,
    },
  },
  {
    what: 'no YAML',
    text: `${HEAD}spec: {selector: [\n`,
    cli: /:\d+:\d+: .*; correct the YAML/,
    value: 'prod',
    api: {
      status: 422,
      code: 'invalid-document',
      pointer: '',
      detail: /text stands where a mapping is needed/,
    },
  },
];
