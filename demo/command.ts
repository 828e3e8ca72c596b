import type { Command } from 'commander';

export type DemoDeps = {
  out: NodeJS.WritableStream;
  color: boolean;
  columns: number;
  env: Record<string, string>;
  /** Called when the demo begins; aborts when whoever runs this wants it to end. */
  untilStopped: () => AbortSignal;
  /** Ends the command with code 1; all is said. */
  fail: () => never;
};

type Options = { simulated?: boolean; keep?: boolean };

/** `plumbline demo`: the story of the product, by its own commands. */
export function addDemoCommand(program: Command, deps: DemoDeps): void {
  program
    .command('demo')
    .description('play the story of an allowlist from test to prod, in a minute or two; leaves nothing')
    .option('--simulated', 'with simulated sites also where network namespaces can be had')
    .option('--keep', 'leave the hub running at the end, until Ctrl-C')
    .action(async ({ simulated = false, keep = false }: Options) => {
      const { out, color, columns, env, untilStopped, fail } = deps;
      const signal = untilStopped();
      const { play } = await import('./play.ts');
      if (!(await play({ simulated, keep, out, color, columns, env, signal }))) fail();
    });
}
