// Preloaded into a process whose wall clock is to be ten minutes ahead.
const now = Date.now;
Date.now = () => now() + 600_000;
