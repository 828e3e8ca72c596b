import { Diagnosis } from '../../core/model/view.ts';
import { diagnose } from '../doctor/diagnose.ts';
import type { App } from '../http/app.ts';
import { answers } from './answers.ts';
import type { RouteParts } from './parts.ts';

/** One examination at a time, shared by all who ask meanwhile: it reads much. */
export function doctorRoute(app: App, parts: RouteParts): void {
  let running: Promise<Diagnosis> | null = null;
  app.route({
    method: 'GET',
    url: '/api/v1/doctor',
    schema: {
      tags: ['hub'],
      summary: 'Whether all is well, and where every report is',
      response: answers(Diagnosis),
    },
    handler: async (): Promise<Diagnosis> => {
      running ??= diagnose(parts).finally(() => {
        running = null;
      });
      return running;
    },
  });
}
