import { once } from 'node:events';
import { createServer } from 'node:http';
import { Writable } from 'node:stream';
import { Command } from 'commander';
import { afterEach, describe, expect, it } from 'vitest';
import { join } from '../../adapters/gateway/join.ts';
import { createGatewayUplink } from '../../adapters/gateway/uplink.ts';
import { systemClock } from '../../core/ports/clock.ts';
import { simulatedAgents } from '../../main/simulated-agent.ts';
import { addSimulateCommand } from '../../simulator/command.ts';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const nowhere = () => new Writable({ write: (_chunk, _encoding, done) => done() });

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Runs `simulate` against whatever listens at a port; gives what it ends with. */
async function simulate(port: number, ...args: string[]): Promise<string> {
  let help = '';
  const program = new Command().exitOverride().configureOutput({
    writeErr: () => {},
    writeOut: (text) => {
      help += text;
    },
  });
  addSimulateCommand(program, {
    findHub: () => ({ url: new URL(`http://127.0.0.1:${port}`), token: 't', ca: null }),
    join,
    createGatewayUplink,
    createAgent: simulatedAgents(),
    clock: systemClock,
    logger: quiet,
    version: '0.1.0',
    out: nowhere(),
    err: nowhere(),
    untilStopped: () => AbortSignal.timeout(60_000),
    fail: (code, message) => {
      throw new Error(`${code}: ${message}`);
    },
  });
  return program.parseAsync(['simulate', ...args], { from: 'user' }).then(
    () => 'done',
    (error: Error) => help || error.message,
  );
}

async function listen(status: number, body: string): Promise<number> {
  const server = createServer((_request, response) => response.writeHead(status).end(body));
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('plumbline simulate', () => {
  it('ends with 3 when no hub answers', async () => {
    const port = await listen(200, '');
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
    expect(await simulate(port, '--sites', '2')).toMatch(/^3: the hub at .* can't be reached/);
  });

  it('ends with 1 and what the hub said when it refuses, or is no hub', async () => {
    const refusing = await listen(403, '{"code":"forbidden","detail":"an author may not add sites"}');
    expect(await simulate(refusing, '--sites', '40')).toBe('1: an author may not add sites [forbidden]');
    expect(await simulate(await listen(200, '<html>'))).toMatch(/^1: .*\[bad-answer\]$/);
  });

  it('shows its standards as they are written, with nothing going wrong that was not asked for', async () => {
    expect(await simulate(1, '--help')).toMatch(
      /--interval .*\(default: 10s\)[\s\S]*--incidents .*\(default: none\)/,
    );
  });

  it('says what its flags take', async () => {
    expect(await simulate(1, '--sites', '0')).toContain('a whole number from 1 to 100000');
    expect(await simulate(1, '--interval', '10')).toContain('a number with a unit');
    expect(await simulate(1, '--incidents', '[{}]')).toContain('it is wrong at /0');
    expect(await simulate(1, '--workload', 'Check out')).toContain('small letters, digits and hyphens');
    expect(await simulate(1, '--traffic', '/nowhere.yaml')).toContain("It can't be read");
    expect(await simulate(1, '--traffic', '/nowhere.yaml', '--workload', 'a')).not.toBe('done');
  });
});
