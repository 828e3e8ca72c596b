import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { Labels } from './core/model/site.ts';

/** A setting that can't be used. The message names the setting, where it came from and the remedy. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** What only a file can say, because it has structure. */
const FileOnly = Type.Object({
  links: Type.Array(
    Type.Object(
      {
        name: Type.String({ pattern: '^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$' }),
        url: Type.String({ pattern: '^(tcp|http|https)://[^/]+' }),
        budgetMs: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
      },
      { additionalProperties: false },
    ),
    { maxItems: 63 },
  ),
  enforcement: Type.Object(
    {
      /** Only the site's owner turns it on; no hub can. */
      enabled: Type.Boolean(),
      workloads: Type.Array(
        Type.Object(
          {
            name: Type.String({ pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' }),
            labels: Labels,
            /** Whose processes it is made of: a user's name or number. */
            user: Type.Optional(Type.Union([Type.String({ minLength: 1 }), Type.Integer({ minimum: 0 })])),
            /** Or the interface behind which it is. */
            interface: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_.@-]{1,15}$' })),
          },
          { additionalProperties: false },
        ),
        { maxItems: 64 },
      ),
    },
    { additionalProperties: false },
  ),
});
export type FileOnly = Static<typeof FileOnly>;

export function readLinks(value: unknown, file: string | undefined): FileOnly['links'] {
  const links = value ?? [];
  const [error] = linksValidator.Errors({ links });
  if (error !== undefined)
    throw new ConfigError(
      `${file}: ${error.instancePath.slice(1)} ${error.message}; a link is {name: api, url: "https://host:port", budgetMs: 200}`,
    );
  if (!linksValidator.Check({ links })) throw new Error('unreachable: errors were looked for');
  const parsed: Pick<FileOnly, 'links'> = linksValidator.Parse({ links });
  const names = parsed.links.map((link) => link.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i || name === 'hub');
  if (twice !== undefined)
    throw new ConfigError(
      `${file}: links: the name "${twice}" is taken; names are unique, and "hub" is the hub itself`,
    );
  return parsed.links;
}
const linksValidator = Compile(Type.Pick(FileOnly, ['links']));

export function readEnforcement(value: unknown, file: string | undefined): FileOnly['enforcement'] {
  const enforcement = {
    enabled: false,
    workloads: [],
    ...(typeof value === 'object' ? value : value !== undefined && { value }),
  };
  const example =
    'as in enforcement: {enabled: true, workloads: [{name: checkout, labels: {app: checkout}, user: checkout}]}';
  const refuse = (at: string, why: string) =>
    new ConfigError(`${file}: enforcement${at}: ${why}; ${example}`);
  if (value !== undefined && (typeof value !== 'object' || value === null || Array.isArray(value)))
    throw refuse('', 'it has keys "enabled" and "workloads"');
  const candidate: unknown = { enforcement };
  if (!enforcementValidator.Check(candidate)) {
    const [error] = enforcementValidator.Errors(candidate);
    throw refuse(error?.instancePath.replace('/enforcement', '') ?? '', error?.message ?? 'not valid');
  }
  const { workloads } = candidate.enforcement;
  for (const [i, { name, user, interface: link }] of workloads.entries()) {
    if ((user === undefined) === (link === undefined))
      throw refuse(`/workloads/${i}`, `workload ${name} needs either "user" or "interface"`);
    if (workloads.findIndex((one) => one.name === name) !== i)
      throw refuse(`/workloads/${i}/name`, `the name ${name} is taken`);
  }
  return candidate.enforcement;
}
const enforcementValidator = Compile(Type.Pick(FileOnly, ['enforcement']));
