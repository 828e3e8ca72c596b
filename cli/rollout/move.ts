import type { Command } from 'commander';
import { ROLLOUT_ACTIONS, type RolloutAction } from '../../core/model/rollout.ts';
import { Applied } from '../../core/model/view.ts';
import { beginRun, type CommandContext } from '../command-context.ts';
import { rolloutPath } from './name.ts';

const FOLLOW = (name: string) => `Follow it with \`plumbline rollout status ${name} --watch\`.`;

const MEANINGS: Readonly<
  Record<RolloutAction, { what: string; done: string; hint: (name: string) => string }>
> = {
  promote: {
    what: 'take a stage that has passed on to the next one',
    done: 'promoted',
    hint: FOLLOW,
  },
  pause: {
    what: 'begin nothing more; what was applied stays',
    done: 'paused',
    hint: (name) => `Go on with \`plumbline rollout resume ${name}\`.`,
  },
  resume: {
    what: 'go on with a rollout that is paused',
    done: 'resumed',
    hint: FOLLOW,
  },
  rollback: {
    what: 'return the stage on its way to what it was promoted to before',
    done: 'rolled back',
    hint: (name) => `What it rested on: \`plumbline rollout evidence ${name}\`.`,
  },
  retry: {
    what: 'have sites that refused it try it again; a stage that has not passed begins anew',
    done: 'tried again',
    hint: FOLLOW,
  },
};

export function addRolloutMoveCommands(rollout: Command, context: CommandContext): void {
  for (const action of ROLLOUT_ACTIONS)
    rollout
      .command(action)
      .description(MEANINGS[action].what)
      .argument('<kind/name>', 'as allowlist/payments')
      .action(async (text: string, _options: object, command: Command) => {
        const { name, path } = rolloutPath(text);
        const run = beginRun(command, context);
        const answer = await run.hub().send('POST', `${path}/${action}`, Applied);
        run.print(answer, () => [`allowlist/${name} ${MEANINGS[action].done}`]);
        if (run.format === 'table' || run.format === 'wide')
          run.note(MEANINGS[action].hint(`allowlist/${name}`));
      });
}
