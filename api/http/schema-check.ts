import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { schemaFaults } from '../../core/schema-faults.ts';
import { RequestFaults } from './problem-reply.ts';

/** Checks requests against their TypeBox schemas. Query and path come as text, so numbers in them are read as such. */
export const checkWithTypebox: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = Compile(schema);
  return (received: unknown) => {
    const value = httpPart === 'body' ? received : compiled.Convert(received);
    if (compiled.Check(value)) return { value };
    const faults = schemaFaults(schema, value);
    if (faults.length > 0) return { error: new RequestFaults(faults) };
    const others = compiled.Errors(value).map(({ instancePath, message }) => ({
      pointer: instancePath,
      problem: message,
      remedy: 'see the schema in /api/v1/openapi.json',
    }));
    return { error: new RequestFaults(others) };
  };
};
