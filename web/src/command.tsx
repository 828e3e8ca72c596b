import { useState } from 'preact/hooks';

/** A command to run in a shell, with a button that copies it where the browser allows that. */
export function Command({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <span class="command">
      <code>{text}</code>
      {'clipboard' in navigator && (
        <button
          type="button"
          class="quiet"
          aria-label={`Copy: ${text}`}
          onClick={() => {
            navigator.clipboard.writeText(text).then(
              () => setCopied(true),
              () => setCopied(false),
            );
          }}
        >
          {copied ? 'Copied' : 'Copy'}
        </button>
      )}
    </span>
  );
}
