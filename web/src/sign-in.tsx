import { useEffect, useRef, useState } from 'preact/hooks';
import { signIn } from './hub.ts';
import { Logo } from './logo.tsx';

/** The one-time code of a sign-in link, taken out of the address (and so out of the browser's history) before it is used. */
export function takeCode(): string | null {
  if (location.pathname !== '/signin' || location.hash.length < 2) return null;
  const code = location.hash.slice(1);
  history.replaceState(history.state, '', '/signin');
  return code;
}

export function SignIn({ code, onSignedIn }: { code: string | null; onSignedIn: () => void }) {
  const [busy, setBusy] = useState(code !== null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);

  async function present(proof: { code: string } | { token: string }) {
    setBusy(true);
    setTrouble(null);
    const answer = await signIn(proof);
    setBusy(false);
    if (answer.ok) onSignedIn();
    else setTrouble(explain(answer, 'code' in proof));
  }

  useEffect(() => {
    if (code !== null) void present({ code });
  }, []);
  useEffect(() => {
    if (!busy) field.current?.focus();
  }, [busy]);

  return (
    <main class="sign-in">
      <h1>
        <Logo /> Plumbline
      </h1>
      {busy && code !== null ? (
        <p role="status">Signing in …</p>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const token = field.current?.value.trim() ?? '';
            if (token !== '') void present({ token });
          }}
        >
          <label for="token">Access token</label>
          <input
            id="token"
            ref={field}
            type="password"
            autocomplete="current-password"
            spellcheck={false}
            required
            aria-describedby="token-help"
          />
          {trouble !== null && (
            <p class="trouble-text" role="alert">
              {trouble}
            </p>
          )}
          <button type="submit" class="primary" disabled={busy}>
            Sign in
          </button>
          <p id="token-help" class="muted">
            On the hub's machine <code>plumbline signin</code> prints a link that signs in once without one,
            and the first token is in <code>admin.token</code> in its data directory.
          </p>
        </form>
      )}
    </main>
  );
}

function explain(refusal: { code: string; detail: string }, byCode: boolean): string {
  if (refusal.code === 'unreachable') return 'The hub does not answer. Is it running?';
  if (refusal.code === 'unauthorized')
    return byCode
      ? 'This sign-in link was used already, or its hub has been started again since. `plumbline signin` on the hub’s machine prints another; or paste a token.'
      : 'The hub does not know this token. Copy it whole, without spaces.';
  return refusal.detail;
}
