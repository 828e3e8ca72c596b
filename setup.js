// Runs before `npm start` and `npm test`, on whatever Node the machine has: installs the dependencies
// (Node 24 among them) when they are missing or older than the lock file, and builds the page when it is
// missing or older than its sources. Plain JavaScript, because it runs before anything is installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const [major] = process.versions.node.split('.').map(Number);
if (major < 20) fail(`Plumbline needs Node 20 or later to set itself up; this is ${process.version}.`);

const isWhole = ['.bin/node', 'chdb', 'fastify', 'kafkajs', 'vite'].every((part) =>
  existsSync(join(root, 'node_modules', part)),
);
const installed = mtime(join(root, 'node_modules/.package-lock.json'));
if (!isWhole || installed < mtime(join(root, 'package-lock.json'))) {
  say('Installing dependencies (the first time this takes about half a minute) ...');
  // Not `npm ci`: it refuses a lock file that lacks an optional package of another platform, and those of this one have
  // to be found. The versions are the lock file's all the same, and it stays as it is.
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']);
}
if (
  existsSync(join(root, 'web/index.html')) &&
  mtime(join(root, 'web/dist/index.html')) < newest(join(root, 'web'))
) {
  say('Building the live page ...');
  run('npm', ['run', '--silent', 'build:web']);
}

function newest(dir) {
  let latest = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.name === 'dist' || entry.name === 'node_modules') continue;
    const path = join(dir, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : mtime(path));
  }
  return latest;
}
function mtime(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}
function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) fail(`\`${command} ${args.join(' ')}\` failed; see its output above.`);
}
function say(text) {
  process.stderr.write(`${text}\n`);
}
function fail(text) {
  say(text);
  process.exit(1);
}
