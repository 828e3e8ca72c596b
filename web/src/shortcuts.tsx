import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Single keys that work anywhere but in a field. What a page does with them, it says by name. */
type ShortcutActions = Partial<Record<'next' | 'previous' | 'back' | 'filter' | 'help', () => void>>;

const KEYS: Record<string, keyof ShortcutActions> = {
  j: 'next',
  k: 'previous',
  ArrowDown: 'next',
  ArrowUp: 'previous',
  Escape: 'back',
  '/': 'filter',
  '?': 'help',
};
const STORED = 'plumbline.shortcuts';

function shortcutsAreOn(): boolean {
  try {
    return localStorage.getItem(STORED) !== 'off';
  } catch {
    return true;
  }
}

/** Actions of the newest render. Letters and signs can be turned off (WCAG 2.1.4); arrows and Escape stay. */
export function useShortcuts(actions: ShortcutActions): void {
  const newest = useRef(actions);
  newest.current = actions;
  // Not a moment after the rows are there: a quick key must not be lost.
  useLayoutEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const name = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : undefined;
      const action = name && newest.current[name];
      if (!action || isTaken(event)) return;
      if (event.key.length === 1 && !shortcutsAreOn()) return;
      event.preventDefault();
      action();
    };
    addEventListener('keydown', pressed);
    return () => removeEventListener('keydown', pressed);
  }, []);
}

/** Whether what has the focus wants the key for itself. */
function isTaken(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest('dialog') !== null) return true;
  return target.matches('input, select, textarea, [contenteditable]');
}

const HELP: readonly [string, string][] = [
  ['/', 'Go to the filter'],
  ['j or ↓', 'Next site'],
  ['k or ↑', 'Previous site'],
  ['Enter', 'Open the site'],
  ['Esc', 'Back to the list; in the filter: clear it, then leave it'],
  ['?', 'This help'],
];

export function HelpDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [on, setOn] = useState(shortcutsAreOn);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} aria-labelledby="help-title" onClose={onClose}>
      <h2 id="help-title">Keyboard</h2>
      <dl class="keys">
        {HELP.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p class="muted">
        The filter takes words (<code>tokyo failing</code>) or a label selector (
        <code>env in (prod),!maint</code>). The address of the page holds the filter, so it can be shared.
      </p>
      <label class="choice">
        <input
          type="checkbox"
          checked={on}
          onChange={(event) => {
            setOn(event.currentTarget.checked);
            try {
              localStorage.setItem(STORED, event.currentTarget.checked ? 'on' : 'off');
            } catch {
              // Storage is off: nothing to remember.
            }
          }}
        />{' '}
        Single-key shortcuts
      </label>
      <form method="dialog">
        <button type="submit" class="primary">
          Close
        </button>
      </form>
    </dialog>
  );
}
