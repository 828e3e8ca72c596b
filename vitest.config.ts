import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Real parts hold threads, native libraries and sockets: a process a file lets all of it go with the file.
    pool: 'forks',
  },
});
