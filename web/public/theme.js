// Runs before the first paint, so that a chosen theme never flashes the other one. web/src/theme.tsx changes the choice.
try {
  const theme = localStorage.getItem('plumbline.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is off: the page follows the system.
}
