import { Applied } from '../core/model/view.ts';
import type { CommandRun } from './command-context.ts';
import { EXIT, Refusal } from './exit.ts';

/** What to call a resource, and where the API has it. */
export type Removal = { name: string; path: string };

/**
 * Deletes each, whatever the hub says of the others, and tells every outcome; a hub that is away ends it. Ends with a
 * Refusal when one was refused. At most `atOnce` are asked for at a time.
 */
export async function removeEach(run: CommandRun, removals: readonly Removal[], atOnce = 1): Promise<void> {
  const hub = run.hub();
  const left = removals.values();
  let refused = 0;
  async function work(): Promise<void> {
    for (const { name, path } of left) {
      try {
        const answer = await hub.send('DELETE', path, Applied);
        run.print(answer, () => [`${name} ${answer.effect}`]);
      } catch (error) {
        const isRefused = error instanceof Refusal && error.exitCode === EXIT.violations;
        if (!isRefused || removals.length === 1) throw error;
        refused++;
        run.note(`${name}: ${error.message}`);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, removals.length) }, work));
  if (refused > 0)
    throw new Refusal(EXIT.violations, `${refused} of ${removals.length} could not be deleted.`);
}
