/** A plumb line: what hangs true. */
export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#12324f" />
      <path d="M9 7h14M16 7v8" stroke="#cfe3f6" stroke-width="2.4" stroke-linecap="round" />
      <path d="M16 15l5 4.2-5 7.3-5-7.3z" fill="#5cb8a5" />
    </svg>
  );
}
