import { useState } from 'preact/hooks';

const CHOICES = ['auto', 'light', 'dark'] as const;
type Choice = (typeof CHOICES)[number];
const WORDS: Record<Choice, string> = { auto: 'Auto', light: 'Light', dark: 'Dark' };
const KEY = 'plumbline.theme';

function chosen(): Choice {
  return CHOICES.find((choice) => choice === document.documentElement.dataset.theme) ?? 'auto';
}

function choose(choice: Choice): void {
  if (choice === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // Storage is off: the choice lasts as long as the page.
  }
}

/** Goes round: as the system has it, light, dark. public/theme.js applies the choice on the next visit. */
export function ThemeButton() {
  const [choice, setChoice] = useState(chosen);
  const next = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length] ?? 'auto';
  return (
    <button
      type="button"
      class="quiet"
      title={`Theme: ${WORDS[choice]}. Press for ${WORDS[next]}.`}
      onClick={() => {
        choose(next);
        setChoice(next);
      }}
    >
      <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6.25" fill="none" stroke="currentColor" stroke-width="1.5" />
        <path d="M8 1.75a6.25 6.25 0 0 1 0 12.5z" fill="currentColor" />
      </svg>
      <span class="wide-only">{WORDS[choice]}</span>
      <span class="unseen narrow-only">Theme: {WORDS[choice]}</span>
    </button>
  );
}
