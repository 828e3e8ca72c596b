import { expect, onTestFinished, test } from 'vitest';
import { problem } from '../../core/problem.ts';
import { runCli, scratchDir } from './run-cli.ts';
import { startStandInHub, TOKEN } from './stand-in-hub.ts';

test('a refusal names every field at fault by its place in the file', async () => {
  const hub = await startStandInHub();
  onTestFinished(() => hub.stop());
  const env = { url: hub.url, token: TOKEN, dataDir: scratchDir(onTestFinished) };
  const input = `apiVersion: plumbline.io/v1
kind: Allowlist
metadata: {name: payments}
spec:
  workloads: {}
  egress: []
rollout:
  stages:
    - virtualSite: test
`;
  const errors = [
    { pointer: '/spec/egress', detail: 'too wide; narrow it' },
    { pointer: '/rollout/stages/0/verify/soak', detail: 'too short; wait longer' },
  ];
  hub.on('PUT /api/v1/policies/Allowlist/payments', () => ({
    problem: problem('guard-rail', 'too wide; narrow it', errors),
  }));
  const { code, err } = await runCli(['apply', '-f', '-'], { env, input });
  expect(code).toBe(1);
  expect(err).toBe(`standard input:6:3: spec.egress: too wide; narrow it
standard input:9:7: rollout.stages[0].verify.soak: too short; wait longer
Allowlist/payments was refused [guard-rail]. 0 of 1 were applied.
`);
});
