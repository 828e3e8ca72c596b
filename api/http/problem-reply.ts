import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../../core/ports/logger.ts';
import { StoreError } from '../../core/ports/store.ts';
import { type Problem, problem } from '../../core/problem.ts';
import type { Fault } from '../../core/schema-faults.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** A request that does not fit its route's schema. */
export class RequestFaults extends Error {
  override readonly name = 'RequestFaults';
  readonly faults: readonly Fault[];
  constructor(faults: readonly Fault[]) {
    super('the request does not fit its schema');
    this.faults = faults;
  }
}

export function faultErrors(faults: readonly Fault[]): NonNullable<Problem['errors']> {
  return faults.map(({ pointer, problem: wrong, remedy }) => ({ pointer, detail: `${wrong}; ${remedy}` }));
}

/** Sends a problem document. Bodies are sent as text so that no serializer of the route touches them. */
export function sendProblem(reply: FastifyReply, refused: Problem): FastifyReply {
  return reply.code(refused.status).type(PROBLEM_TYPE).send(JSON.stringify(refused));
}

/** Whatever a route throws, as a problem. What is not known here is a bug: logged in full, told in general. */
export function problemOf(error: FastifyError | Error, request: FastifyRequest, logger: Logger): Problem {
  if (error instanceof RequestFaults) {
    const where =
      'validationContext' in error && error.validationContext === 'querystring' ? 'query' : 'body';
    return problem(
      'bad-request',
      `the ${where} of the request does not fit: ${error.faults[0]?.problem ?? 'see errors'}`,
      faultErrors(error.faults),
    );
  }
  if (error instanceof StoreError && error.code !== 'rejected') {
    logger.warn({ code: error.code, err: error, url: request.routeOptions.url }, 'api.store.failed');
    return error.code === 'limit'
      ? problem('store-unavailable', 'the question took longer than is allowed; ask for a shorter range')
      : problem('store-unavailable', 'the store does not answer at the moment; try again in a while');
  }
  const code = 'code' in error ? error.code : '';
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return problem('too-large', 'a request body has at most 512 kB; send less');
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return problem('unsupported-media-type', 'send the body with content-type application/json');
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return problem('bad-request', 'the body is not JSON; send an object, as {"name": "value"}');
    default:
  }
  const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500;
  if (status < 500) return problem('bad-request', error.message);
  logger.error({ err: error, method: request.method, url: request.routeOptions.url }, 'api.request.failed');
  return problem('internal', 'the hub failed at this request; its log says why (api.request.failed)');
}
