import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // How long something may take says nothing about it on a machine that is busy with other work: a wait ends when what it
    // waits for is there, and its limit is for what never comes. A test's own is longer than a wait's, which says more.
    expect: { poll: { timeout: 15_000 } },
    testTimeout: 90_000,
    hookTimeout: 120_000,
    // Real parts hold threads, native libraries and sockets: a process a file lets all of it go with the file.
    pool: 'forks',
  },
});
